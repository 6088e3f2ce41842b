"""What the database works out from a row by itself."""

from django.db import models


class AnswerHash(models.Func):
    """A number for the content of the last message, by which rows with one answer are found in order."""

    template = r"hashtextextended(btrim(%(expressions)s #>> '{messages,-1,content}', E' \n\r\t'), 0)"
    output_field = models.BigIntegerField()


class CharacterLength(models.Func):
    function = "char_length"
    output_field = models.IntegerField()
