"""Fetches a published model from the Hugging Face hub, when the user asks for one."""

from pathlib import Path

from .catalog import Home
from .errors import ModelError
from .i18n import _

# Weights and descriptions only: no pickles and no code of the repository. The README states the
# licence.
FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]


def snapshot(hub_id: str, home: Home) -> Path:
    """Returns the local folder of a hub model, after fetching what is missing. Raises ModelError.

    A fetch that was interrupted is resumed.
    """
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - half a second, seldom needed
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(
            _(
                "{hub_id} cannot be fetched from the Hugging Face hub now: try again later, or "
                "give a folder that holds it.",
                hub_id=hub_id,
            )
        ) from error
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    home.note_request(f"{hub_id} from the Hugging Face hub", size)
    return folder
