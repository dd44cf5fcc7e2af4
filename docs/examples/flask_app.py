"""Flask: `flask --app flask_app run`, or `gunicorn --config gunicorn_conf.py flask_app:app`."""

from flask import Flask
from web_client import started

from wampy.errors import RemoteError, WampyError

app = Flask(__name__)


@app.get("/greet/<name>")
def greet(name):
    return {"greeting": started().call("com.example.greet", name)}


@app.post("/news/<headline>")
def news(headline):
    started().publish(topic="com.example.news", headline=headline)
    return "", 204


@app.errorhandler(RemoteError)  # the callee's or the router's ERROR
def refused(error):
    return {"error": error.uri}, 502


@app.errorhandler(WampyError)  # no router, no answer in time
def unavailable(error):
    return {"error": str(error)}, 503
