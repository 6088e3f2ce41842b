"""Texts that must not stand readable in the database: sealed with the key from the environment."""

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from apps.core.errors import PortalError


class SealedWithAnotherKeyError(PortalError):
    """FTPORTAL_ENCRYPTION_KEY is not the one that the text was sealed with."""

    status = 500
    code = "wrong_encryption_key"


def _fernet() -> Fernet:
    return Fernet(settings.FTPORTAL_ENCRYPTION_KEY)


def encrypt_text(text: str) -> str:
    return _fernet().encrypt(text.encode()).decode()


def decrypt_text(sealed: str) -> str:
    try:
        return _fernet().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise SealedWithAnotherKeyError(
            "A stored secret can't be read: FTPORTAL_ENCRYPTION_KEY is another one than when it was stored."
        ) from None
