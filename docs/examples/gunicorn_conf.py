"""gunicorn: two processes of sixteen threads, each process with a client of its own."""

workers = 2
threads = 16


def post_worker_init(worker):
    # After the fork, and when the worker has its user and its signals. Left out, the first request starts the client.
    from web_client import started

    started()


def worker_exit(server, worker):
    # Not only at exit: a view that still waits for an answer is freed, and the worker need not wait for it.
    from web_client import client

    client.stop()
