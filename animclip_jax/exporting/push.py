"""A hub export becomes a new repository of the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from animclip_jax.weights import hub

_SECONDS = 10
_TOKEN = "run `hf auth login`, or set HF_TOKEN to a token that may write"


def require_free(repository: str) -> None:
    """Finds, before anything is written, that a repository can be made.

    Raises:
      ValueError: it is no OWNER/NAME, or there is no token here that the Hub knows.
      FileExistsError: there is one of that name. OSError: the Hub can't be reached.
    """
    if not hub.is_repository(repository):
        raise ValueError(f"--push={repository}: wanted OWNER/NAME, such as someone/clip-of-films")
    # Slow to import, and needed here alone.
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError

    if huggingface_hub.get_token() is None:
        raise ValueError(f"--push={repository}: no Hugging Face token on this machine: {_TOKEN}")
    api = huggingface_hub.HfApi()
    try:
        # First this, for it takes a time-out: the client's own would try for half a minute.
        api.model_info(repository, timeout=_SECONDS)
    except RepositoryNotFoundError:
        pass
    except Exception as error:  # The Hub's client lets errors of several libraries through.
        raise _refusal(repository, error) from error
    else:
        raise FileExistsError(
            f"--push={repository}: the Hub has this repository already: choose another name, or "
            f"export without --push and upload by `hf upload {repository} DIR`"
        )
    try:
        api.whoami()
    except Exception as error:  # As above.
        raise _refusal(repository, error) from error


def push(directory: Path, repository: str, private: bool = False) -> str:
    """Makes the repository and uploads the folder in one commit.

    Returns:
      the repository's address.

    Raises:
      OSError: that went wrong; the folder is complete, and the error says how to upload it.
    """
    import huggingface_hub

    api = huggingface_hub.HfApi()
    try:
        address = api.create_repo(repository, private=private)
        message = "animclip export --format=hub"
        api.upload_folder(repo_id=repository, folder_path=directory, commit_message=message)
    except Exception as error:  # The Hub's client lets errors of several libraries through.
        what = f"{directory} is complete, but could not be uploaded"
        advice = f"to try again: hf upload {repository} {directory}"
        raise OSError(f"{_problem(repository, what, error)}; {advice}") from error
    return str(address)


def _refusal(repository: str, error: Exception) -> Exception:
    """The error for what the Hub answered, or for no answer."""
    if getattr(getattr(error, "response", None), "status_code", None) == 401:
        return ValueError(
            f"--push={repository}: the Hub does not accept this machine's token: {_TOKEN}"
        )
    return OSError(_problem(repository, "the Hub can't be reached", error))


def _problem(repository: str, what: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return f"--push={repository}: {what}: {type(error).__name__}: {reason}"
