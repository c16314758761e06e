"""Questions and the one order to Kaggle about submissions to the competition."""

from kagglesdk.competitions.types import competition_api_service as calls

from build.kaggle_io.client import ask
from lib.core.paths import SLUG

FILE = "submission.csv"
_PAGE = 100


def listed(api) -> dict[int, calls.ApiSubmission]:
    """All submissions of the team as Kaggle shows them now, by number, newest first."""
    request = calls.ApiListSubmissionsRequest()
    request.competition_name, request.page_size, found = SLUG, _PAGE, {}

    def asked():
        with api.build_kaggle_client() as kaggle:
            return kaggle.competitions.competition_api_client.list_submissions(request)

    while True:
        answer = ask("list the submissions", asked, repeatable=True)
        found |= {shown.ref: shown for shown in answer.submissions}
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


def limits(api) -> calls.ApiSubmissionLimits:
    """How many submissions were made, and how many more are allowed now."""
    return ask("ask for the submissions left", lambda: api.competition_get_submission_limits(SLUG), repeatable=True)


def submit(api, kernel: str, version: int, message: str) -> calls.ApiCreateCodeSubmissionResponse:
    """Kaggle's answer to the submission of a version of owner/slug; never asked twice."""
    return ask(
        f"submit {kernel} version {version}",
        lambda: api.competition_submit_code(FILE, message, SLUG, kernel, version, quiet=True),
        repeatable=False,
    )
