"""How many examples the property tests try: CDC_SOAK=1 (make soak) tries many more."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a busy machine is slow, and no test here is about time.
settings.register_profile("usual", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=3000)
settings.load_profile("soak" if os.environ.get("CDC_SOAK") == "1" else "usual")
