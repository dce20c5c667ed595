"""The work: signed hotglue job bodies of 1.5 KB."""

import hashlib
import hmac
import json
import random

SECRET = b"bench-secret-0123456789"
STATUSES = ("JOB_COMPLETED", "JOB_CREATED", "SYNC_SUCCESS", "JOB_FAILED")
DISTINCT = 200


def body(job_id, n=0):
    tenant = f"{1414 + n % 50}_1"
    return json.dumps({
        "job_id": job_id, "env_id": "dev.hotglue.com", "flow_id": "JClkCC05S",
        "job_name": "test_job:KWjsnRTyp", "tenant": tenant, "started_by": tenant,
        "s3_root": f"{tenant}/flows/JClkCC05S/jobs/2024/10/1/06/05/{job_id}",
        "start_time": "2024-10-06T20:14:59.957270+00:00", "state": {}, "tap": "salesforce",
        "target": "bigquery", "connector_id": None, "job_type": None,
        "status": STATUSES[n % len(STATUSES)], "scheduled_job": True, "sync_type": "full_sync",
        "override_start_date": None, "override_end_date": None, "override_field_map": None,
        "override_source_config": None, "override_target_config": None,
        "override_lifecycle_webhook": None, "task_id": "3430414a60df4efdb9aa7d7abaf877fc",
        "task_type": "STANDARD",
        "task_definition": {"id": "hotglue-executor-v2:4", "memory": 32768, "cpu": 8192},
        "discover_install_uri": "git+https://github.com/hotgluexyz/tap-salesforce.git@v1.0.12",
        "metrics": {
            "recordCount": {"Opportunity": 21029 + n, "Lead": 285990, "User": 364, "Account": 51201,
                            "Contact": 188203, "Campaign": 911, "Task": 40211, "Event": 1802,
                            "Product2": 210, "PricebookEntry": 1033},
            "jobMetrics": {"tap_duration_s": 812.4, "etl_duration_s": 90.1,
                           "target_duration_s": 301.7}},
        "message": "Sync finished for all selected streams; see the job log for the bookmarks",
        "stream_state": {name: "2024-10-06T20:14:00Z"
                         for name in ("Opportunity", "Lead", "Account", "Contact")},
        "last_updated": "2024-10-06T20:31:00.081282+00:00",
    }).encode()


def signature(body):
    return hmac.new(SECRET, body, hashlib.sha1).hexdigest()


def reply(body):
    """What a handler that replies has to say to it."""
    job = json.loads(body)
    return f"{job['job_id']} {job['status']}"


def sized(job_id, n, size):
    """A body of so many bytes, by its message; of a small one little else is left."""
    job = json.loads(body(job_id, n))
    if size < len(json.dumps(job)):
        job = {"job_id": job_id, "status": job["status"]}
    job["message"] = ""
    room = size - len(json.dumps(job))
    job["message"] = random.Random(n).randbytes(room // 2 + 1).hex()[:room]
    return json.dumps(job).encode()


def typed(job_id, n, kinds):
    """A body whose event type is one of so many."""
    return json.dumps({**json.loads(body(job_id, n)), "status": f"KIND_{n % kinds}"}).encode()


def write_lua(path, made=body, count=DISTINCT):
    """So many bodies, with their signatures and replies, as a Lua table for wrk."""
    rows = []
    for n in range(count):
        text = made(f"J{n:07}", n)
        rows.append("{body=[==[%s]==],signature=%r,reply=%r}" % (text.decode(), signature(text), reply(text)))
    path.write_text("return {\n" + ",\n".join(rows) + "}\n")
