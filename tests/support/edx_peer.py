"""Open edX's side, as a program of `.venv-peers/edx`: `edx-proctoring` as Open edX runs it.

The exams, attempts and reviews are that package's own, in a database of Django's; its REST
provider calls the back end at the first argument. Each line of JSON that is read, ``[name,
arguments...]``, is a call of the package's API, or of the provider's where the name begins with
``provider.``; it is answered with a line, ``{"result": ...}`` or ``{"raised": ...}``. The first
line that is written has the port at which the package's own views answer the back end.
"""

import json
import secrets
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import django
from django.conf import settings

BASE, CLIENT, SECRET, OUR_CLIENT, OUR_SECRET = sys.argv[1:6]
FOLDER = tempfile.mkdtemp()
DJANGO = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
EDX = [
    "rest_framework",
    "rules.apps.AutodiscoverRulesConfig",
    "waffle",
    "simple_history",
    "edx_when",
    "edx_proctoring",
]
ALLOWED = {"create_exam", "update_exam", "get_exam_by_id", "create_exam_attempt",
           "get_exam_attempt_by_id", "update_attempt_status", "remove_exam_attempt"}  # fmt: skip

settings.configure(
    SECRET_KEY="of this test",
    INSTALLED_APPS=[*DJANGO, *EDX],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "crum.CurrentRequestUserMiddleware",
    ],
    AUTHENTICATION_BACKENDS=[
        "rules.permissions.ObjectPermissionBackend",
        "django.contrib.auth.backends.ModelBackend",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{FOLDER}/db.sqlite3"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
    PROCTORING_BACKENDS={"DEFAULT": "voxwatch"},
    PROCTORING_SETTINGS={},
    PROCTORING_USER_OBFUSCATION_KEY="of this test",
    LANGUAGE_CODE="en",
    ENV_ROOT=FOLDER,
    LMS_ROOT_URL="http://lms.example",
    LEARNING_MICROFRONTEND_URL="http://lms.example",
    SITE_NAME="lms.example",
    PLATFORM_NAME="Open edX",
    CONTACT_EMAIL="help@lms.example",
    DEFAULT_FROM_EMAIL="help@lms.example",
    COURSE_ID_PATTERN=r"(?P<course_id>[^/+]+(/|\+)[^/+]+(/|\+)[^/?]+)",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    # Tables are made as the models are, and not by all the steps that led there.
    MIGRATION_MODULES=dict.fromkeys(
        ("auth", "contenttypes", "sessions", "waffle", "edx_when", "edx_proctoring")
    ),
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()  # what is imported below has to find it set up: noqa E402

from django.apps import apps  # noqa: E402
from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import include, path  # noqa: E402
from edx_proctoring import api, runtime  # noqa: E402
from edx_proctoring.backends.rest import BaseRestProctoringProvider  # noqa: E402
from edx_proctoring.models import ProctoredExamSoftwareSecureReview  # noqa: E402
from edx_proctoring.utils import obscured_user_id  # noqa: E402

# Where Open edX has them.
urlpatterns = [path("api/", include("edx_proctoring.urls", namespace="edx_proctoring"))]


class Provider(BaseRestProctoringProvider):
    base_url = BASE


class Names:
    """The service that tells a learner's name; the others are not asked for anything here."""

    def get_credit_state(self, user_id, course_id, return_course_info=False):
        return {"profile_fullname": "Ada Byron", "student_email": "ada@learners.example",
                "course_name": "A course", "enrollment_mode": "verified"}  # fmt: skip

    def __getattr__(self, name):
        return lambda *arguments, **named: None


class Views(BaseHTTPRequestHandler):
    """Gives the back end a token for its secret, and hands what it reports to the real views."""

    token = secrets.token_hex(8)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/oauth2/access_token":
            self.answer(*self.access(parse_qs(body.decode())))
        elif self.headers["Authorization"] != f"JWT {self.token}":
            self.answer(401, {})
        else:
            client = Client()
            user = User.objects.get(username="voxwatch")
            client.force_login(user, "django.contrib.auth.backends.ModelBackend")
            response = client.post(self.path, body, content_type=self.headers["Content-Type"])
            self.answer(response.status_code, {})

    def access(self, form):
        if (form["client_id"], form["client_secret"]) != ([OUR_CLIENT], [OUR_SECRET]):
            return 401, {}
        return 200, {"access_token": self.token, "expires_in": 3600, "token_type": "JWT"}

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def reviews():
    """What the package keeps of the reviews that came."""
    return [
        {
            "status": review.review_status,
            "comments": [
                [one.comment, one.status, one.start_time, one.stop_time, one.duration]
                for one in review.proctoredexamsoftwaresecurecomment_set.all()
            ],
        }
        for review in ProctoredExamSoftwareSecureReview.objects.all()
    ]


def called(name, arguments):
    if name == "reviews":
        return reviews()
    if name == "number_of":  # what a learner is told to the back end as
        return obscured_user_id(arguments[0], "voxwatch")
    if name.startswith("provider."):
        return getattr(provider, name.removeprefix("provider."))(*arguments)
    if name == "remove_exam_attempt":
        arguments = [*arguments, User.objects.get(username="voxwatch")]
    if name not in ALLOWED:
        raise LookupError(name)
    return getattr(api, name)(*arguments)


call_command("migrate", run_syncdb=True, verbosity=0)
User.objects.create_user("learner", "ada@learners.example")
group = Group.objects.create(name="voxwatch_review")
User.objects.create_user("voxwatch", "voxwatch@lms.example").groups.add(group)
provider = Provider(client_id=CLIENT, client_secret=SECRET)
apps.get_app_config("edx_proctoring").backends["voxwatch"] = provider
for service in ("credit", "instructor", "grades", "certificates", "enrollments"):
    runtime.set_runtime_service(service, Names())
views = HTTPServer(("127.0.0.1", 0), Views)
threading.Thread(target=views.serve_forever, daemon=True).start()
print(json.dumps({"port": views.server_address[1]}), flush=True)
for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        told = {"result": called(name, arguments)}
    except Exception as error:
        told = {"raised": type(error).__name__, "message": str(error)}
    print(json.dumps(told, default=str), flush=True)
