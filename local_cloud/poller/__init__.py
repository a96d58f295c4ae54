"""Reads DynamoDB streams and drives functions the way Lambda's event source mappings do.

``engine`` decides (pure: no clock, no thread, no AWS), ``service`` acts. It needs public APIs only, so it runs against
any endpoint: ``python -m local_cloud.poller --help``.
"""
