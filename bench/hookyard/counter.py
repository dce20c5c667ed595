"""Writes down, for the harness, how many events the program says are handled: counter.py PORT FOLDER"""
import os, sys, time, urllib.request

port, folder = sys.argv[1], sys.argv[2]
path = f"{folder}/{os.getpid()}.n"
while True:
    try:
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        done = [line.split()[1] for line in page.splitlines() if line.startswith('hookyard_deliveries{state="done"}')]
        with open(path + ".new", "w") as file:
            file.write(done[0])
        os.replace(path + ".new", path)
    except OSError:
        pass
    time.sleep(0.1)
