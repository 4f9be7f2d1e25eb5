"""Run by python.test.ts: what Python's huggingface_hub finds in a cache, or downloads into it, as JSON.

Arguments: find | download, the cache, a repository, names of files.
"""

import json
import sys

from huggingface_hub import scan_cache_dir, snapshot_download, try_to_load_from_cache
from huggingface_hub.file_download import _CACHED_NO_EXIST

action, cache, repository, *names = sys.argv[1:]
if action == "download":
    print(json.dumps({"folder": snapshot_download(repository, cache_dir=cache)}))
else:
    files = {}
    for name in names:
        found = try_to_load_from_cache(repository, name, cache_dir=cache)
        files[name] = "no such file" if found is _CACHED_NO_EXIST else found
    info = scan_cache_dir(cache)
    print(
        json.dumps(
            {
                "folder": snapshot_download(repository, cache_dir=cache, local_files_only=True),
                "files": files,
                "warnings": [str(warning) for warning in info.warnings],
                "repos": [
                    [repo.repo_id, repo.size_on_disk, sorted(repo.refs)] for repo in info.repos
                ],
            }
        )
    )
