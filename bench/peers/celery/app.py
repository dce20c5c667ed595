import hashlib
import hmac
import json
import os

from fastapi import FastAPI, HTTPException, Request

from tasks import handle

app = FastAPI()
SECRET = os.environ["SECRET"].encode()


@app.post("/webhooks")
async def webhooks(request: Request):
    raw = await request.body()
    want = hmac.new(SECRET, raw, hashlib.sha1).hexdigest()
    if not hmac.compare_digest(request.headers.get("X-Hub-Signature", ""), want):
        raise HTTPException(401)
    handle.delay(json.loads(raw))
    return {"ok": True}
