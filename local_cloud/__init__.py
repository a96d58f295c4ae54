"""The embedded AWS: MiniStack in a virtual environment of its own, for demos and tests.

``python -m local_cloud start|stop|reset|status|env|policy``. Standard library only, apart from what runs inside that
environment: ``server`` and ``patches`` (MiniStack) and ``identities`` (boto3).
"""
