"""A platform's side, as a program of `.venv-peers/lti`: Open edX's consumer of LTI as it runs it.

Launches, the start of assessments and access tokens are that package's own views, served as Open
edX has them; of the assessment control service the package has what lets a tool in, and the view
is here. The tool is at the first argument. The first line that is written says how the platform
is to be registered. Each line of JSON that is read, ``[name, arguments...]``, is answered with a
line: ``launch`` with where a learner's browser begins, ``started`` with the assessments that
began, ``flags`` with what the control service took.
"""

import json
import sys
import tempfile
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

TOOL = sys.argv[1]
FOLDER = tempfile.mkdtemp()
LINK = "block-v1:A+B+C+type@problem+block@exam"


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


def not_yet(environ, start):
    raise LookupError


server = make_server("127.0.0.1", 0, not_yet, Server, Handler)
OWN = f"http://127.0.0.1:{server.server_port}"
settings.configure(
    SECRET_KEY="of this test",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "rest_framework",
        "config_models",
        "lti_consumer",
    ],
    MIDDLEWARE=["edx_django_utils.cache.middleware.RequestCacheMiddleware", f"{__name__}.log_in"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{FOLDER}/db.sqlite3"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    # Tables are made as the models are, and not by all the steps that led there.
    MIGRATION_MODULES=dict.fromkeys(
        ("auth", "contenttypes", "sessions", "config_models", "lti_consumer")
    ),
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    LMS_ROOT_URL=OWN,
    LEARNING_MICROFRONTEND_URL=OWN,
    PLATFORM_NAME="Open edX",
    USAGE_ID_PATTERN=r"(?P<usage_id>(?:i4x://?[^/]+/[^/]+/[^/]+/[^@]+(?:@[^/]+)?)|(?:[^/]+))",
    USE_TZ=True,
)
django.setup()  # what is imported below has to find it set up: noqa E402

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402
from lti_consumer import api, utils  # noqa: E402
from lti_consumer.data import Lti1p3LaunchData, Lti1p3ProctoringLaunchData  # noqa: E402
from lti_consumer.lti_1p3.extensions.rest_framework.authentication import (  # noqa: E402
    Lti1p3ApiAuthentication,
)
from lti_consumer.lti_1p3.extensions.rest_framework.permissions import (  # noqa: E402
    LtiProctoringAcsPermissions,
)
from lti_consumer.models import Lti1p3Passport, LtiConfiguration  # noqa: E402
from lti_consumer.signals.signals import LTI_1P3_PROCTORING_ASSESSMENT_STARTED  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

flags, started = [], []


def log_in(answer):
    """A browser that comes is the learner's."""

    def answered(request):
        request.user = User.objects.get(username="learner")
        return answer(request)

    return answered


class Control(APIView):
    authentication_classes = (Lti1p3ApiAuthentication,)
    permission_classes = (LtiProctoringAcsPermissions,)

    def post(self, request, lti_config_id):
        flags.append(request.data)
        return Response({"status": "running"})


urlpatterns = [
    path("api/", include("lti_consumer.plugin.urls")),
    path("lti/acs/<int:lti_config_id>", Control.as_view()),
]


def note(sender, **told):
    started.append([told["attempt_number"], told["resource_link"], told["user_id"]])


def launch(kind, number, role):
    """Where the browser of the learner, or of a teacher, begins."""
    there = f"{OWN}/api/lti_consumer/v1/start_proctoring_assessment"
    proctoring = Lti1p3ProctoringLaunchData(
        attempt_number=number,
        start_assessment_url=there,
        assessment_control_url=f"{OWN}/lti/acs/{config.id}",
        assessment_control_actions=["flag", "terminate"],
    )
    data = Lti1p3LaunchData(
        user_id=User.objects.get(username="learner").id,
        external_user_id="of-the-learner" if role == "student" else "of-the-teacher",
        user_role=role,
        name="Ada Byron",
        email="ada@learners.example",
        config_id=config.config_id,
        resource_link_id=LINK,
        message_type=kind,
        proctoring_launch_data=None if kind == "LtiResourceLinkRequest" else proctoring,
        context_id="course-v1:A+B+C",
        context_label="exam",
    )
    return api.get_lti_1p3_launch_start_url(data)


def called(name, arguments):
    if name == "launch":
        return launch(*arguments)
    return {"started": started, "flags": flags}[name]


call_command("migrate", run_syncdb=True, verbosity=0)
User.objects.create_user("learner", "ada@learners.example")
passport = Lti1p3Passport.objects.create(lti_1p3_tool_keyset_url=f"{TOOL}/lti/jwks")
config = LtiConfiguration.objects.create(
    location=LINK,
    version=LtiConfiguration.LTI_1P3,
    config_store=LtiConfiguration.CONFIG_ON_DB,
    lti_1p3_proctoring_enabled=True,
    lti_1p3_oidc_url=f"{TOOL}/lti/login",
    lti_1p3_launch_url=f"{TOOL}/lti/launch",
    lti_1p3_passport=passport,
)
LTI_1P3_PROCTORING_ASSESSMENT_STARTED.connect(note)
server.set_app(get_wsgi_application())
threading.Thread(target=server.serve_forever, daemon=True).start()
print(
    json.dumps(
        {
            "issuer": OWN,
            "client_id": config.lti_1p3_client_id,
            "deployment_ids": ["1"],  # the one that the package has
            "login_url": utils.get_lms_lti_launch_link(),
            # By the link: the tokens that the package gives by its passport are not for the
            # assessment control service.
            "token_url": utils.get_lms_lti_access_token_link(LINK),
            "jwks_url": utils.get_lms_lti_keyset_link(config.passport_id),
        }
    ),
    flush=True,
)
for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps({"result": called(name, arguments)}, default=str), flush=True)
