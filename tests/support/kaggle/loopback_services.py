"""What Kaggle keeps and answers, as far as the project asks: kernels, datasets, uploads, competitions, models.

One method for each remote call, of its name: it takes the request's JSON and returns the answer's, or raises Refusal.
"""

import io
import json
import tarfile
import zipfile
from urllib.parse import quote

from tests.support.kaggle.loopback_state import Competition, Dataset, Refusal, Run

SOURCE_LIMIT_BYTES = 1_000_000


class Kaggle:
    """All state of the loopback Kaggle; tests read and set it directly."""

    def __init__(self, base: str, user: str, token: str):
        self.base, self.user, self.token = base, user, token
        self.token_active = True
        self.kernels: dict[str, list[dict]] = {}  # "owner/slug" -> the SaveKernel request of each version
        self.runs: dict[tuple[str, int], Run] = {}
        self.next_runs: list[Run] = []  # what becomes of the next pushes; an ordinary COMPLETE run after them
        self.datasets: dict[str, Dataset] = {}
        self.uploads: dict[str, dict] = {}
        self.competitions: dict[str, Competition] = {}
        self.models: dict[str, dict[str, bytes]] = {}  # "owner/model/framework/variation/version" -> its files
        self.storage: dict[str, bytes] = {}

    def IntrospectToken(self, asked: dict) -> dict:
        known = self.token_active and asked.get("token") == self.token
        return {"active": True, "username": self.user} if known else {"active": False}

    def SaveKernel(self, asked: dict) -> dict:
        if len(asked["text"].encode()) >= SOURCE_LIMIT_BYTES:
            raise Refusal(400, "The kernel source must be less than 1 megabytes in size.", nested=True)
        slug = asked["slug"]
        if slug.partition("/")[0] != self.user:
            raise Refusal(403, "Permission 'kernels.update' was denied")
        versions = self.kernels.setdefault(slug, [])
        versions.append(asked)
        self.runs[slug, len(versions)] = self.next_runs.pop(0) if self.next_runs else Run()
        url = f"https://www.kaggle.com/code/{slug}"
        return {"ref": f"/code/{slug}", "url": url, "versionNumber": len(versions), "kernelId": 7}

    def _version(self, asked: dict) -> tuple[str, int]:
        owner, (slug, _, number) = asked["userName"], asked["kernelSlug"].partition("/")
        versions = self.kernels.get(f"{owner}/{slug}", [])
        wanted = int(asked.get("versionLabel", "").removeprefix("v") or number or len(versions))
        if not 0 < wanted <= len(versions):
            raise Refusal(403, "Permission 'kernels.get' was denied")
        return f"{owner}/{slug}", wanted

    def GetKernelSessionStatus(self, asked: dict) -> dict:
        run = self.runs[self._version(asked)]
        status = run.status()
        return {"status": status} | ({"failureMessage": run.failure} if run.failure and status == "ERROR" else {})

    def ListKernelSessionOutput(self, asked: dict) -> dict:
        slug, number = self._version(asked)
        run = self.runs[slug, number]
        page, more = paged(list(run.outputs), asked)
        files = [{"url": self._stored(f"{slug}/v{number}/{n}", run.outputs[n]), "fileName": n} for n in page]
        return {"files": files, "log": run.log, "nextPageToken": more}

    def GetKernel(self, asked: dict) -> dict:
        slug, number = self._version(asked)
        kept = self.kernels[slug][number - 1]
        shown = ("newTitle", "text", "slug")
        described = {key: value for key, value in kept.items() if key not in shown}
        described |= {"ref": slug, "title": kept.get("newTitle", ""), "author": self.user}
        described["currentVersionNumber"] = len(self.kernels[slug])
        blob = {"source": kept["text"], "language": "python", "kernelType": "notebook", "slug": slug.partition("/")[2]}
        return {"metadata": described, "blob": blob}

    def StartBlobUpload(self, asked: dict) -> dict:
        token = f"blob-{len(self.uploads) + 1}"
        self.uploads[token] = {"name": asked["name"], "size": int(asked["contentLength"]), "data": b""}
        return {"token": token, "createUrl": f"{self.base}/upload/{token}"}

    def _uploaded(self, files: list[dict]) -> dict[str, bytes]:
        """The uploaded files as Kaggle keeps them: archives unpacked into folders of their name."""
        kept: dict[str, bytes] = {}
        for item in files:
            upload = self.uploads.get(item["token"])
            if upload is None or len(upload["data"]) != upload["size"]:
                raise Refusal(400, f"Upload {item['token']} is not complete")
            name, data = upload["name"], upload["data"]
            if name.endswith(".zip"):
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    members = [member for member in archive.namelist() if not member.endswith("/")]
                    kept |= {f"{name[:-4]}/{member}": archive.read(member) for member in members}
            else:
                kept[name] = data
        return kept

    def _dataset(self, asked: dict) -> tuple[str, Dataset]:
        ref = f"{asked['ownerSlug']}/{asked['datasetSlug']}"
        if ref not in self.datasets:
            raise Refusal(404, "Dataset not found")
        return ref, self.datasets[ref]

    def GetDatasetStatus(self, asked: dict) -> dict:
        statuses = self._dataset(asked)[1].statuses
        return {"status": statuses.pop(0) if len(statuses) > 1 else statuses[0]}

    def GetDataset(self, asked: dict) -> dict:
        ref, dataset = self._dataset(asked)
        described = {"ref": ref, "title": dataset.title, "isPrivate": dataset.private}
        return described | {"currentVersionNumber": len(dataset.versions)}

    def ListDatasetFiles(self, asked: dict) -> dict:
        files = self._dataset(asked)[1].versions[int(asked.get("datasetVersionNumber", 0)) - 1]
        page, more = paged(sorted(files), asked)
        return {"datasetFiles": [{"name": n, "totalBytes": len(files[n])} for n in page], "nextPageToken": more}

    def CreateDataset(self, asked: dict) -> dict:
        ref = f"{asked.get('ownerSlug', self.user)}/{asked['slug']}"
        if ref in self.datasets:
            return {"status": "error", "error": f'The requested title "{asked["title"]}" is already in use'}
        files = self._uploaded(asked.get("files", []))
        self.datasets[ref] = Dataset(asked["title"], asked.get("isPrivate", False), [files])
        return {"ref": ref, "url": f"https://www.kaggle.com/datasets/{ref}", "status": "ok", "error": ""}

    def CreateDatasetVersion(self, asked: dict) -> dict:
        ref, dataset = self._dataset(asked)
        dataset.versions.append(self._uploaded(asked["body"].get("files", [])))
        return {"ref": ref, "url": f"https://www.kaggle.com/datasets/{ref}", "status": "ok", "error": ""}

    def DownloadDataset(self, asked: dict) -> str:
        ref, dataset = self._dataset(asked)
        return self._download(f"datasets/{ref}", dataset.versions[-1], asked.get("fileName", ""))

    def _competition(self, asked: dict) -> Competition:
        competition = self.competitions.get(asked["competitionName"])
        if competition is None:
            raise Refusal(404, "Competition not found")
        if not competition.rules_accepted:
            raise Refusal(403, "You must accept this competition's rules before you'll be able to download files.")
        return competition

    def ListDataFiles(self, asked: dict) -> dict:
        files = self._competition(asked).files
        page, more = paged(sorted(files), asked)
        return {"files": [{"name": n, "totalBytes": len(files[n])} for n in page], "nextPageToken": more}

    def DownloadDataFiles(self, asked: dict) -> str:
        return self._download(asked["competitionName"], self._competition(asked).files, "")

    def DownloadDataFile(self, asked: dict) -> str:
        return self._download(asked["competitionName"], self._competition(asked).files, asked["fileName"])

    def CreateCodeSubmission(self, asked: dict) -> dict:
        competition = self._competition(asked)
        kernel = {"userName": asked["kernelOwner"], "kernelSlug": asked["kernelSlug"]}
        slug, number = self._version(kernel | {"versionLabel": f"v{asked.get('kernelVersion', '')}"})
        if competition.allowed_now < 1:
            raise Refusal(400, "Submission not allowed: Your team has used its daily Submission allowance")
        if self.runs[slug, number].statuses != ["COMPLETE"]:
            raise Refusal(400, "Submission not allowed: the Notebook version has not completed")
        competition.allowed_now -= 1
        ref = 50001 + sum(len(one.submissions) for one in self.competitions.values())
        told = {"ref": ref, "description": asked.get("submissionDescription", ""), "fileName": asked["fileName"]}
        told |= {"date": f"2026-11-21T10:{len(competition.submissions):02d}:00.000Z", "submittedBy": self.user}
        told |= {"url": f"https://www.kaggle.com/submissions/{ref}", "statuses": list(competition.statuses)}
        competition.submissions.insert(0, told)
        return {"message": "Successfully submitted to BirdCLEF+ 2026", "ref": ref}

    def GetSubmissionLimits(self, asked: dict) -> dict:
        competition = self._competition(asked)
        return {"numToday": len(competition.submissions), "numAllowedNow": competition.allowed_now}

    def _submission(self, competition: Competition, told: dict) -> dict:
        statuses = told["statuses"]
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        scored = {"publicScore": competition.public_score, "privateScore": competition.private_score}
        failed = {"errorDescription": competition.error}
        shown = {key: value for key, value in told.items() if key != "statuses"} | {"status": status}
        return shown | (scored if status == "COMPLETE" else failed if status == "ERROR" else {})

    def GetSubmission(self, asked: dict) -> dict:
        for competition in self.competitions.values():
            for told in competition.submissions:
                if told["ref"] == asked["ref"]:
                    return self._submission(competition, told)
        raise Refusal(404, "Submission not found")

    def ListSubmissions(self, asked: dict) -> dict:
        competition = self._competition(asked)
        page, more = paged(competition.submissions, asked)
        return {"submissions": [self._submission(competition, told) for told in page], "nextPageToken": more}

    def _model(self, asked: dict) -> tuple[str, dict[str, bytes]]:
        framework = asked["framework"].removeprefix("MODEL_FRAMEWORK_").replace("_", "").lower()
        parts = (asked["ownerSlug"], asked["modelSlug"], framework, asked["instanceSlug"], str(asked["versionNumber"]))
        for handle, files in self.models.items():
            if handle.lower() == "/".join(parts).lower():
                return handle, files
        raise Refusal(404, "Model not found")

    def ListModelInstanceVersionFiles(self, asked: dict) -> dict:
        files = self._model(asked)[1]
        page, more = paged(sorted(files), asked)
        return {"files": [{"name": n, "size": len(files[n])} for n in page], "nextPageToken": more}

    def DownloadModelInstanceVersion(self, asked: dict) -> str:
        handle, files = self._model(asked)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return self._stored(f"models/{handle}/archive.tar.gz", packed.getvalue())

    def _download(self, folder: str, files: dict[str, bytes], name: str) -> str:
        """The address of one file, or of all in a zip."""
        if name:
            if name not in files:
                raise Refusal(404, f"File {name} not found")
            return self._stored(f"{folder}/{name}", files[name])
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for one, data in files.items():
                archive.writestr(zipfile.ZipInfo(one), data)
        return self._stored(f"{folder}/archive.zip", packed.getvalue())

    def _stored(self, path: str, data: bytes) -> str:
        """The signed address at which the server gives these bytes."""
        address = f"/storage/{quote(path)}"
        self.storage[address] = data
        return f"{self.base}{address}?X-Goog-Signature=5ec2e7"


def paged(items: list, asked: dict) -> tuple[list, str]:
    """One page of the items, and the token of the next."""
    start, size = int(asked.get("pageToken") or 0), int(asked.get("pageSize") or 20)
    return items[start : start + size], str(start + size) if start + size < len(items) else ""


def as_json(data: object) -> bytes:
    """The body of an answer."""
    return json.dumps(data).encode()
