"""Settings, read once from the environment by an entry point and passed on from there."""

import os
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_data_dir() -> Path:
    """Without MUSCOPE_DATA_DIR: `.muscope` of the current folder if it is there, else the home's.

    So every command started in a checkout finds what `make run` has made there.
    """
    here = Path.cwd() / ".muscope"
    return here if _is_mine(here) else Path.home() / ".local" / "share" / "muscope"


def _is_mine(folder: Path) -> bool:
    """In a folder that many write to, such as /tmp, somebody else's is not taken for ours."""
    return folder.is_dir() and folder.stat().st_uid == os.getuid()


class Settings(BaseSettings):
    """Every setting is an environment variable MUSCOPE_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="MUSCOPE_", frozen=True, extra="ignore")

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: str = ""
    """SQLAlchemy URL; empty means an SQLite file in the data directory."""
    broker_url: str = ""
    """Celery broker URL; empty means files in the data directory."""
    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    allowed_hosts: str = ""
    """Further `name:port` pairs, separated by commas, that a Host header may carry."""
    token: str = ""
    """Access token; empty means the one in the data directory, made when it is missing."""
    max_runs: int = Field(default=2_000, ge=1, le=20_000)
    lease_s: float = Field(default=30.0, gt=0)
    heartbeat_s: float = Field(default=5.0, gt=0)
    reap_s: float = Field(default=5.0, gt=0)
    resend_s: float = Field(default=10.0, gt=0)
    """A bundle still queued this long after its last message is sent again."""
    stall_s: float = Field(default=600.0, gt=0)
    checkpoint_after_s: float = Field(default=600.0, ge=0, allow_inf_nan=False)
    """Training that would take longer by its pace leaves checkpoints."""
    checkpoint_every_s: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    checkpoint_gib: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """All checkpoints of a data directory are within so many GiB; 0 means none."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of a worker's training process; 0 means its share of the cores of its host."""
    datasets_dir: str = ""
    """Folder of data files; empty means `datasets` in the data directory."""
    huggingface_datasets: str = ""
    """Names of Hugging Face data sets, separated by commas, that studies may ask for."""

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        """So that a message that names the folder says which one."""
        return folder.absolute()

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'muscope.db'}"

    @property
    def broker(self) -> str:
        """The broker URL in force."""
        return self.broker_url or "filesystem://"

    @property
    def broker_dir(self) -> Path:
        """Folder of the embedded broker."""
        return self.data_dir / "broker"

    @property
    def checkpoints_folder(self) -> Path:
        """Where a worker keeps what its training can go on from; it need not be there."""
        return self.data_dir / "checkpoints"

    @property
    def datasets_folder(self) -> Path:
        """The folder of data files in force, which need not be there."""
        return (
            Path(self.datasets_dir).absolute() if self.datasets_dir else self.data_dir / "datasets"
        )

    @property
    def huggingface_allowed(self) -> tuple[str, ...]:
        """The Hugging Face data sets that studies may ask for."""
        names = (name.strip() for name in self.huggingface_datasets.split(","))
        return tuple(name for name in names if name)

    @property
    def token_file(self) -> Path:
        """Where the access token is kept, mode 0600."""
        return self.data_dir / "token"
