from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0005_recovery")]

    operations = [
        migrations.AddField(
            model_name="trainingjob",
            name="expected_end_at",
            field=models.DateTimeField(help_text="As the provider says, where it does.", null=True),
        ),
    ]
