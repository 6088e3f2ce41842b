from django.urls import path

from apps.labeling import urls_results
from apps.labeling.views import drafts, guidelines, items, mine, sessions, work

app_name = "labeling"
urlpatterns = [
    path("", sessions.index, name="index"),
    path("sessions/new/", sessions.create, name="create"),
    path("sessions/<int:pk>/", sessions.session, name="session"),
    path("sessions/<int:pk>/change/", sessions.edit, name="edit"),
    path("sessions/<int:pk>/open/", sessions.open_session, name="open"),
    path("sessions/<int:pk>/pause/", sessions.pause, name="pause"),
    path("sessions/<int:pk>/close/", sessions.close, name="close"),
    path("sessions/<int:pk>/questions/new/", sessions.add_question, name="add_question"),
    path("questions/<int:pk>/", sessions.question, name="question"),
    path("questions/<int:pk>/remove/", sessions.remove_question, name="remove_question"),
    path("questions/<int:pk>/up/", sessions.move_question, name="move_question"),
    path("seats/<int:pk>/release/", sessions.release, name="release"),
    path("sessions/<int:pk>/drafts/", drafts.drafts, name="drafts"),
    path("sessions/<int:pk>/items/", items.items, name="items"),
    path("items/<int:pk>/", items.item, name="item"),
    path("items/<int:pk>/withdraw/", items.withdraw, name="withdraw"),
    path("items/<int:pk>/threads/<int:user_pk>/", items.comment, name="comment"),
    path("flags/<int:pk>/settle/", items.settle, name="settle_flag"),
    path("guidelines/new/", guidelines.create, name="create_guideline"),
    path("guidelines/<int:pk>/", guidelines.guideline, name="guideline"),
    path("guidelines/<int:pk>/change/", guidelines.edit, name="edit_guideline"),
    path("guidelines/<int:pk>/versions/<int:number>/", guidelines.version, name="guideline_version"),
    path("sessions/<int:pk>/mine/", mine.mine, name="mine"),
    path("sessions/<int:pk>/mine/read/", mine.read_thread, name="read_thread"),
    path("sessions/<int:pk>/mine/confirm/", mine.confirm, name="confirm_label"),
    path("sessions/<int:pk>/mine/reopen/", mine.reopen, name="reopen_label"),
    path("sessions/<int:pk>/work/", work.work, name="work"),
    path("sessions/<int:pk>/work/claim/", work.claim, name="claim"),
    path("sessions/<int:pk>/work/submit/", work.submit, name="submit"),
    path("sessions/<int:pk>/work/save/", work.save, name="save"),
    path("sessions/<int:pk>/work/heartbeat/", work.heartbeat, name="heartbeat"),
    path("sessions/<int:pk>/work/skip/", work.skip, name="skip"),
    path("sessions/<int:pk>/work/flag/", work.flag, name="flag"),
    path("sessions/<int:pk>/work/undo/", work.undo, name="undo"),
    path("sessions/<int:pk>/work/items/<int:item_pk>/comments/", work.comments, name="comments"),
    *urls_results.urlpatterns,
]
