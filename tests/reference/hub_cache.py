"""What Python's huggingface_hub does with a cache, for tests/hub/python_test.ts.

    hub_cache.py fetch ENDPOINT CACHE    downloads org/name (all of it) and the dataset org/data (one file)
    hub_cache.py find ENDPOINT CACHE     finds the same without a network, and prints what is there
    hub_cache.py settings                what it reads from each of the environments on standard input
    hub_cache.py hold CACHE TAG MARK     holds the lock of a content for a second; MARK.held and MARK.freed say when
"""

import json
import os
import sys
import time

MODEL_FILES = ["config.json", "model.safetensors", "data/deep/empty.txt"]


def hub(endpoint, cache, offline):
    os.environ.update(HF_ENDPOINT=endpoint, HF_HUB_CACHE=cache, HF_HUB_OFFLINE=offline, HF_HUB_DISABLE_TELEMETRY="1")
    os.environ.pop("HF_TOKEN", None)
    import huggingface_hub

    return huggingface_hub


def fetch(endpoint, cache):
    huggingface_hub = hub(endpoint, cache, "0")
    folder = huggingface_hub.snapshot_download("org/name")
    single = [huggingface_hub.hf_hub_download("org/name", name) for name in MODEL_FILES]
    data = huggingface_hub.hf_hub_download("org/data", "train.csv", repo_type="dataset")
    print(json.dumps({"folder": folder, "files": single, "data": data}))


def find(endpoint, cache):
    huggingface_hub = hub(endpoint, cache, "1")
    files = [huggingface_hub.hf_hub_download("org/name", name) for name in MODEL_FILES]
    data = huggingface_hub.hf_hub_download("org/data", "train.csv", repo_type="dataset")
    scanned = huggingface_hub.scan_cache_dir(cache)
    repositories = {
        f"{each.repo_type} {each.repo_id}": {
            "files": each.nb_files,
            "bytes": each.size_on_disk,
            "refs": {name: revision.commit_hash for name, revision in each.refs.items()},
        }
        for each in scanned.repos
    }
    warnings = [str(each) for each in scanned.warnings]
    print(json.dumps({"files": files, "data": data, "repositories": repositories, "warnings": warnings}))


def hold(cache, tag, mark):
    from huggingface_hub.utils import WeakFileLock

    folder = os.path.join(cache, ".locks", "models--org--name")
    os.makedirs(folder, exist_ok=True)
    with WeakFileLock(os.path.join(folder, f"{tag}.lock")):
        open(f"{mark}.held", "w").close()
        time.sleep(1)
        open(f"{mark}.freed", "w").close()


def settings():
    import importlib

    from huggingface_hub import constants, get_token

    asked = json.load(sys.stdin)
    found = []
    for environment in asked["environments"]:
        for name in asked["names"]:
            os.environ.pop(name, None)
        os.environ.update(environment)
        importlib.reload(constants)
        read = {"endpoint": constants.ENDPOINT, "token": get_token(), "cacheFolder": constants.HF_HUB_CACHE}
        found.append({**read, "offline": constants.HF_HUB_OFFLINE})
    print(json.dumps(found))


if __name__ == "__main__":
    {"fetch": fetch, "find": find, "settings": settings, "hold": hold}[sys.argv[1]](*sys.argv[2:])
