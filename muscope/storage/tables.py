"""The tables (shared/reliability.md section 2). Times are seconds since 1970, UTC, as floats."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from muscope.vocabulary import AttemptState, BundleState, RunState, StudyIntent

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Identity = BigInteger().with_variant(Integer, "sqlite")


def _one_of(column: str, words: type[BundleState | RunState | AttemptState | StudyIntent]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


study = Table(
    "study",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(120), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("spec_json", Text, nullable=False),
    Column("spec_digest", String(64), nullable=False),
    Column("intent", String(12), nullable=False),
    Column("token_id", Integer),
    Column("idempotency_key", String(200), unique=True),
    Column("extends", String(16), ForeignKey("study.id")),
    # what recordings find their study by; the newest with a key is meant
    Column("recording_key", String(120), index=True),
    Column("event_seq", Integer, nullable=False, server_default="0"),
    # the number of the latest stage while another may follow, else nothing
    Column("stage", Integer),
    Column("created_at", Float, nullable=False),
    Column("archived_at", Float),
    Column("deleted_at", Float),
    CheckConstraint(_one_of("intent", StudyIntent), name="intent"),
    Index("ix_study_extends", "extends"),
)

bundle = Table(
    "bundle",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("study_id", String(16), ForeignKey("study.id"), nullable=False),
    Column("queue", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempt_no", Integer, nullable=False, server_default="0"),
    Column("lease_token", String(32)),
    Column("lease_until", Float),
    Column("worker_id", String(120)),
    Column("losses", Integer, nullable=False, server_default="0"),
    Column("vanishings", Integer, nullable=False, server_default="0"),
    Column("stalls", Integer, nullable=False, server_default="0"),
    # how often it was split because its training had run out of memory
    Column("memory_splits", Integer, nullable=False, server_default="0"),
    Column("not_before", Float),
    Column("cancel_requested", Integer, nullable=False, server_default="0"),
    Column("last_sent_at", Float),
    Column("need_memory", BigInteger, nullable=False, server_default="0"),
    Column("need_plugin", String(120)),
    Column("protocol", Integer, nullable=False, server_default="1"),
    CheckConstraint(_one_of("state", BundleState), name="state"),
    CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name="lease"),
    Index("ix_bundle_state_id", "state", "id"),
    Index("ix_bundle_study_id", "study_id"),
)

run = Table(
    "run",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("study_id", String(16), ForeignKey("study.id"), nullable=False),
    Column("bundle_id", Identity, ForeignKey("bundle.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("variant", String(120), nullable=False),
    Column("width", Integer, nullable=False),
    Column("depth", Integer, nullable=False),
    # of runs that are older than this column, nothing
    Column("batch_size", Integer),
    # what it records; of runs that are older than this column, nothing
    Column("record", String(16)),
    Column("octave", Float, nullable=False, server_default="0"),
    Column("seed", Integer, nullable=False),
    Column("stage", Integer, nullable=False, server_default="0"),
    Column("spec_json", Text, nullable=False),
    Column("spec_digest", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("accepted_attempt", Identity),
    Column("row_count", Integer),
    Column("digest", String(16)),
    Column("first_nonfinite_step", Integer),
    Column("first_nonfinite_tensor", String(200)),
    Column("error_code", String(40)),
    Column("error_text", Text),
    Column("rerun_of", Identity, ForeignKey("run.id")),
    # the run of another study that was trained and holds the rows of this one
    Column("reuses", Identity, ForeignKey("run.id")),
    Column("ended_at", Float),
    UniqueConstraint("study_id", "ordinal"),
    CheckConstraint(_one_of("state", RunState), name="state"),
    Index("ix_run_bundle_id", "bundle_id"),
    Index("ix_run_spec_digest", "spec_digest"),
    Index("ix_run_reuses", "reuses"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("bundle_id", Identity, ForeignKey("bundle.id"), nullable=False),
    Column("attempt_no", Integer, nullable=False),
    Column("worker_id", String(120), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("last_step", Integer),
    Column("last_step_at", Float),
    Column("code_version", String(40), nullable=False),
    Column("torch_version", String(60)),
    Column("device", String(120)),
    Column("data_digest", String(64)),
    Column("end_reason", Text),
    Column("threads", Integer),
    Column("matmul_precision", String(40)),
    Column("warm_up_s", Float),
    Column("train_s", Float),
    Column("planned_s", Float),
    Column("flops", Float),
    Column("peak_bytes", BigInteger),
    Column("ceiling", Float),
    Column("fraction", Float),
    # the step that its latest checkpoint goes on from; the file is beside its worker
    Column("checkpoint_step", Integer),
    # the attempt whose rows up to the step it has taken over, or why it began at the first step
    Column("resumed_from", Identity),
    Column("resumed_step", Integer),
    Column("resume_note", Text),
    UniqueConstraint("bundle_id", "attempt_no"),
    CheckConstraint(_one_of("state", AttemptState), name="state"),
    Index(
        "uq_attempt_live",
        "bundle_id",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
)

tensor = Table(
    "tensor",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("study_id", String(16), ForeignKey("study.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("role", String(24), nullable=False),
    Column("shape", String(120)),
    Column("ordinal", Integer, nullable=False),
    # of a recording some are only shown
    Column("is_judged", Integer, nullable=False, server_default="1"),
    UniqueConstraint("study_id", "name", "role"),
)

measurement = Table(
    "measurement",
    metadata,
    Column("run_id", Identity, ForeignKey("run.id"), primary_key=True),
    Column("attempt_id", Identity, ForeignKey("attempt.id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("tensor_id", Identity, ForeignKey("tensor.id"), primary_key=True),
    Column("kind", String(12), primary_key=True),
    *(
        Column(name, Float)
        for name in (
            "l1", "rms", "mean", "max_abs", "change", "contribution", "spectral", "stable_rank",
            "align_w", "align_x", "align_wx", "underflow", "overflow",
        )
    ),
    Column("nonfinite", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)  # fmt: skip

plugin_measurement = Table(
    "plugin_measurement",
    metadata,
    Column("run_id", Identity, ForeignKey("run.id"), primary_key=True),
    Column("attempt_id", Identity, ForeignKey("attempt.id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("tensor_id", Identity, ForeignKey("tensor.id"), primary_key=True),
    Column("kind", String(12), primary_key=True),
    Column("statistic", String(120), primary_key=True),
    Column("value", Float),
    Column("nonfinite", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

progress = Table(
    "progress",
    metadata,
    Column("run_id", Identity, ForeignKey("run.id"), primary_key=True),
    Column("attempt_id", Identity, ForeignKey("attempt.id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("train_loss", Float),
    Column("eval_loss", Float),
    Column("grad_norm", Float),
    Column("lr", Float),
    Column("nonfinite", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("study_id", String(16), ForeignKey("study.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("run_id", Identity),
    Column("kind", String(40), nullable=False),
    Column("from_state", String(16)),
    Column("to_state", String(16)),
    Column("data_json", Text),
)

worker = Table(
    "worker",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("host", String(120), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", String(120), nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("queues", String(200), nullable=False),
    Column("plugins", Text, nullable=False, server_default=""),
    Column("protocol", Integer, nullable=False),
    Column("versions", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("heartbeat_at", Float, nullable=False),
    Column("machine_json", Text),
)

plugin = Table(
    "plugin",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("key", String(12), nullable=False),
    Column("description_json", Text, nullable=False),
    Column("first_used_at", Float, nullable=False),
)

verdict = Table(
    "verdict",
    metadata,
    Column("study_id", String(16), ForeignKey("study.id"), primary_key=True),
    Column("variant", String(120), primary_key=True),
    # that of a study: a learning-rate study with a coordinate check has two of a variant
    Column("kind", String(40), primary_key=True),
    Column("final", Integer, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("runs_judged", Integer, nullable=False),
    Column("verdict_json", Text, nullable=False),
    Column("judged_at", Float, nullable=False),
)

recording = Table(
    "recording",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("study_id", String(16), ForeignKey("study.id"), nullable=False),
    Column("run_id", Identity, ForeignKey("run.id"), nullable=False),
    Column("attempt_id", Identity, ForeignKey("attempt.id"), nullable=False, unique=True),
    Column("opening_digest", String(64), nullable=False),
    Column("closing_digest", String(64)),
    Column("heard_at", Float, nullable=False),
)

recorded_batch = Table(
    "recorded_batch",
    metadata,
    Column("recording_id", String(32), ForeignKey("recording.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("name", String(120), nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("scopes", String(80), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("body_digest", String(64), nullable=False),
    Column("study_id", String(16), ForeignKey("study.id"), nullable=False),
    Column("created_at", Float, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("action", String(80), nullable=False),
    Column("subject", String(200)),
    Column("detail_json", Text),
)
