import os
import threading
import time

from celery import Celery
from celery.signals import worker_process_init

app = Celery("tasks", broker=f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/0")
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
count, ids = 0, None


@worker_process_init.connect
def begin(**_):
    global ids
    file = f"{os.environ['COUNT_DIR']}/{os.getpid()}"
    if os.environ.get("HANDLED"):
        ids = os.open(file + ".ids", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell():
        while True:
            with open(file + ".n", "w") as out:
                out.write(str(count))
            time.sleep(0.1)

    threading.Thread(target=tell, daemon=True).start()


@app.task
def handle(job):
    global count
    assert job["job_id"] and job["status"]
    count += 1
    if ids is not None:
        os.write(ids, (job["job_id"] + "\n").encode())
