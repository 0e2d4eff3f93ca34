"""Every limit of the web side in one table; beyond it the answer is 413, 422, 429 or 503."""

BODY_BYTES = 1024 * 1024
RECORDING_BODY_BYTES = 4 * 1024 * 1024
"""A batch of a recorder: 20 000 measurements."""
BODY_SECONDS = 30.0
"""A body that has not arrived after this long is given up."""
DRAINED_BODY_BYTES = 16 * 1024 * 1024
"""A refused body up to this size is read to its end, so that the client sees the refusal."""

STRANGER_BODY_BYTES = 4096
"""What a stranger may have read: room for a token and for where to go next."""
NEXT_CHARACTERS = 1000
"""Of the page to go to after the login; a longer one leads to the home page."""

JSON_DEPTH = 32
NUMBER_CHARACTERS = 64

FAILED_TOKENS = 5
FAILED_TOKENS_SECONDS = 60.0
REMEMBERED_ADDRESSES = 10_000
COOKIE_SECONDS = 30 * 24 * 3600

IDEMPOTENCY_KEY_CHARACTERS = 200
STUDIES_PER_HOUR = 60
QUEUED_RUNS = 5_000
MEASUREMENT_ROWS = 50_000_000
RECORDED_ROWS = 1_000_000
"""Of one recorded study: its charts and its verdict read all of them."""
RECORDER_REQUESTS_PER_S = 50.0
RECORDER_BURST = 200
CELLS = 20_000
"""Slopes of one study: what judging, the verdict page and its tables can carry."""
MEMORY_SHARE = 0.9
"""A bundle may need this much of the largest registered device."""

PAGE_ROWS = 200
COMPARED = 8
"""Variants beside each other: their 28 pairs are what a reader, and the error they share, carry."""
COMPARISONS = 4
"""Of those that were looked at last, so many are kept as they are: 5 MB each at most, mostly 1."""

DOWNLOADS = 4
"""Measurements and reports at once: each holds a database connection as long as it is read."""
DOWNLOAD_WAIT_SECONDS = 2.0
"""A further download waits so long for one of them to end, then it is refused."""
FIGURES = 4
"""Drawn at once: each reads all measurements that it shows, and draws on a core."""
FIGURE_WAIT_SECONDS = 20.0
"""A page asks for several; the others wait so long for their turn."""
DOWNLOAD_SECONDS = 10 * 60.0

STREAMS = 200
STREAM_SECONDS = 30 * 60.0
STREAM_POLL_SECONDS = 0.25
STREAM_PING_SECONDS = 15.0

HEADER_SECONDS = 10.0
"""A request whose header is not complete after this long is closed."""
HEADER_BYTES = 64 * 1024
TARGET_BYTES = 16 * 1024
STALLED_READER_SECONDS = 30.0
"""A reader that takes nothing for this long is dropped."""
