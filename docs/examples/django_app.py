"""Django: `python django_app.py runserver`, or `gunicorn --config gunicorn_conf.py django_app:application`."""

import os

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST
from web_client import started

from wampy.errors import RemoteError, WampyError


def greet(request, name):
    return JsonResponse({"greeting": started().call("com.example.greet", name)})


@require_POST
def news(request, headline):
    started().publish(topic="com.example.news", headline=headline)
    return HttpResponse(status=204)


class Errors:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, error):
        if isinstance(error, RemoteError):  # the callee's or the router's ERROR
            return JsonResponse({"error": error.uri}, status=502)
        if isinstance(error, WampyError):  # no router, no answer in time
            return JsonResponse({"error": str(error)}, status=503)
        return None


urlpatterns = [path("greet/<name>", greet), path("news/<headline>", news)]
settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "for development only"),
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[f"{__name__}.Errors"],
)
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line()
