import pytest
from cryptography.fernet import Fernet

from apps.core.encryption import SealedWithAnotherKeyError, decrypt_text, encrypt_text


def test_a_sealed_text_comes_back_and_is_not_readable():
    sealed = encrypt_text("a secret")

    assert decrypt_text(sealed) == "a secret"
    assert "secret" not in sealed
    assert encrypt_text("a secret") != sealed


def test_another_key_is_said_to_be_another(settings):
    sealed = encrypt_text("a secret")
    settings.FTPORTAL_ENCRYPTION_KEY = Fernet.generate_key().decode()

    with pytest.raises(SealedWithAnotherKeyError):
        decrypt_text(sealed)
