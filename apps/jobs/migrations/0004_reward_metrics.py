from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_remote_jobs"),
    ]

    operations = [
        migrations.AddField(
            model_name="metricpoint",
            name="reward_accuracy",
            field=models.FloatField(
                help_text="DPO: share of pairs whose preferred answer has the higher reward.", null=True
            ),
        ),
        migrations.AddField(
            model_name="metricpoint",
            name="reward_margin",
            field=models.FloatField(
                help_text="DPO: mean reward of the preferred answers over that of the rejected ones.", null=True
            ),
        ),
    ]
