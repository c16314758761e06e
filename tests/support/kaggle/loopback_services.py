"""State and responses of Kaggle's services that the project calls: kernels, datasets, uploads, competitions, models.

One method for each remote call, of its name: it takes the request's JSON and returns the answer's, or raises Refusal.
"""

import io
import json
import tarfile
import zipfile
from urllib.parse import quote

from tests.support.kaggle.loopback_state import Competition, Dataset, Refusal, Run, whole_outputs

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

    def IntrospectToken(self, request: dict) -> dict:
        known = self.token_active and request.get("token") == self.token
        return {"active": True, "username": self.user} if known else {"active": False}

    def SaveKernel(self, request: dict) -> dict:
        if len(request["text"].encode()) >= SOURCE_LIMIT_BYTES:
            raise Refusal(400, "The kernel source must be less than 1 megabytes in size.", nested=True)
        slug = request["slug"]
        if slug.partition("/")[0] != self.user:
            raise Refusal(403, "Permission 'kernels.update' was denied")
        versions = self.kernels.setdefault(slug, [])
        versions.append(request)
        run = self.runs[slug, len(versions)] = self.next_runs.pop(0) if self.next_runs else Run()
        run.outputs = whole_outputs(slug, request["text"]) if run.outputs is None else run.outputs
        url = f"https://www.kaggle.com/code/{slug}"
        return {"ref": f"/code/{slug}", "url": url, "versionNumber": len(versions), "kernelId": 7}

    def _version(self, request: dict) -> tuple[str, int]:
        owner, (slug, _, number) = request["userName"], request["kernelSlug"].partition("/")
        versions = self.kernels.get(f"{owner}/{slug}", [])
        number_requested = int(request.get("versionLabel", "").removeprefix("v") or number or len(versions))
        if not 0 < number_requested <= len(versions):
            raise Refusal(403, "Permission 'kernels.get' was denied")
        return f"{owner}/{slug}", number_requested

    def GetKernelSessionStatus(self, request: dict) -> dict:
        run = self.runs[self._version(request)]
        status = run.status()
        return {"status": status} | ({"failureMessage": run.failure} if run.failure and status == "ERROR" else {})

    def ListKernelSessionOutput(self, request: dict) -> dict:
        slug, number = self._version(request)
        run = self.runs[slug, number]
        page, more = paged(list(run.outputs), request)
        files = [{"url": self._stored(f"{slug}/v{number}/{n}", run.outputs[n]), "fileName": n} for n in page]
        return {"files": files, "log": run.log, "nextPageToken": more}

    def GetKernel(self, request: dict) -> dict:
        slug, number = self._version(request)
        kept = self.kernels[slug][number - 1]
        shown = ("newTitle", "text", "slug")
        described = {key: value for key, value in kept.items() if key not in shown}
        described |= {"ref": slug, "title": kept.get("newTitle", ""), "author": self.user}
        described["currentVersionNumber"] = len(self.kernels[slug])
        blob = {"source": kept["text"], "language": "python", "kernelType": "notebook", "slug": slug.partition("/")[2]}
        return {"metadata": described, "blob": blob}

    def StartBlobUpload(self, request: dict) -> dict:
        token = f"blob-{len(self.uploads) + 1}"
        self.uploads[token] = {"name": request["name"], "size": int(request["contentLength"]), "data": b""}
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

    def _dataset(self, request: dict) -> tuple[str, Dataset]:
        ref = f"{request['ownerSlug']}/{request['datasetSlug']}"
        if ref not in self.datasets:
            raise Refusal(404, "Dataset not found")
        return ref, self.datasets[ref]

    def GetDatasetStatus(self, request: dict) -> dict:
        statuses = self._dataset(request)[1].statuses
        return {"status": statuses.pop(0) if len(statuses) > 1 else statuses[0]}

    def GetDataset(self, request: dict) -> dict:
        ref, dataset = self._dataset(request)
        described = {"ref": ref, "title": dataset.title, "isPrivate": dataset.private}
        described |= {"description": dataset.description, "currentVersionNumber": len(dataset.versions)}
        notes = [{"versionNumber": number, "versionNotes": text} for number, text in dataset.notes.items()]
        return described | {"versions": notes}

    def ListDatasetFiles(self, request: dict) -> dict:
        files = self._dataset(request)[1].versions[int(request.get("datasetVersionNumber", 0)) - 1]
        page, more = paged(sorted(files), request)
        return {"datasetFiles": [{"name": n, "totalBytes": len(files[n])} for n in page], "nextPageToken": more}

    def CreateDataset(self, request: dict) -> dict:
        ref = f"{request.get('ownerSlug', self.user)}/{request['slug']}"
        if ref in self.datasets:
            return {"status": "error", "error": f'The requested title "{request["title"]}" is already in use'}
        files = self._uploaded(request.get("files", []))
        private, described = request.get("isPrivate", False), request.get("description", "")
        self.datasets[ref] = Dataset(request["title"], private, [files], description=described)
        return {"ref": ref, "url": f"https://www.kaggle.com/datasets/{ref}", "status": "ok", "error": ""}

    def CreateDatasetVersion(self, request: dict) -> dict:
        ref, dataset = self._dataset(request)
        dataset.versions.append(self._uploaded(request["body"].get("files", [])))
        dataset.notes[len(dataset.versions)] = request["body"].get("versionNotes", "")
        return {"ref": ref, "url": f"https://www.kaggle.com/datasets/{ref}", "status": "ok", "error": ""}

    def DownloadDataset(self, request: dict) -> str:
        ref, dataset = self._dataset(request)
        return self._download(f"datasets/{ref}", dataset.versions[-1], request.get("fileName", ""))

    def _competition(self, request: dict) -> Competition:
        competition = self.competitions.get(request["competitionName"])
        if competition is None:
            raise Refusal(404, "Competition not found")
        if not competition.rules_accepted:
            raise Refusal(403, "You must accept this competition's rules before you'll be able to download files.")
        return competition

    def ListDataFiles(self, request: dict) -> dict:
        files = self._competition(request).files
        page, more = paged(sorted(files), request)
        return {"files": [{"name": n, "totalBytes": len(files[n])} for n in page], "nextPageToken": more}

    def DownloadDataFiles(self, request: dict) -> str:
        return self._download(request["competitionName"], self._competition(request).files, "")

    def DownloadDataFile(self, request: dict) -> str:
        return self._download(request["competitionName"], self._competition(request).files, request["fileName"])

    def CreateCodeSubmission(self, request: dict) -> dict:
        competition = self._competition(request)
        kernel = {"userName": request["kernelOwner"], "kernelSlug": request["kernelSlug"]}
        slug, number = self._version(kernel | {"versionLabel": f"v{request.get('kernelVersion', '')}"})
        if competition.allowed_now < 1:
            raise Refusal(400, "Submission not allowed: Your team has used its daily Submission allowance")
        if self.runs[slug, number].statuses != ["COMPLETE"]:
            raise Refusal(400, "Submission not allowed: the Notebook version has not completed")
        competition.allowed_now -= 1
        ref = 50001 + sum(len(one.submissions) for one in self.competitions.values())
        record = {"ref": ref, "description": request.get("submissionDescription", ""), "fileName": request["fileName"]}
        record |= {"date": f"2026-11-21T10:{len(competition.submissions):02d}:00.000Z", "submittedBy": self.user}
        record |= {"url": f"https://www.kaggle.com/submissions/{ref}", "statuses": list(competition.statuses)}
        competition.submissions.insert(0, record)
        return {"message": "Successfully submitted to BirdCLEF+ 2026", "ref": ref}

    def GetSubmissionLimits(self, request: dict) -> dict:
        competition = self._competition(request)
        return {"numToday": len(competition.submissions), "numAllowedNow": competition.allowed_now}

    def _submission(self, competition: Competition, record: dict) -> dict:
        statuses = record["statuses"]
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        scored = {"publicScore": competition.public_score, "privateScore": competition.private_score}
        failed = {"errorDescription": competition.error}
        shown = {key: value for key, value in record.items() if key != "statuses"} | {"status": status}
        return shown | (scored if status == "COMPLETE" else failed if status == "ERROR" else {})

    def GetSubmission(self, request: dict) -> dict:
        for competition in self.competitions.values():
            for record in competition.submissions:
                if record["ref"] == request["ref"]:
                    return self._submission(competition, record)
        raise Refusal(404, "Submission not found")

    def ListSubmissions(self, request: dict) -> dict:
        competition = self._competition(request)
        page, more = paged(competition.submissions, request)
        return {"submissions": [self._submission(competition, record) for record in page], "nextPageToken": more}

    def _model(self, request: dict) -> tuple[str, dict[str, bytes]]:
        framework = request["framework"].removeprefix("MODEL_FRAMEWORK_").replace("_", "").lower()
        parts = (
            request["ownerSlug"],
            request["modelSlug"],
            framework,
            request["instanceSlug"],
            str(request["versionNumber"]),
        )
        for handle, files in self.models.items():
            if handle.lower() == "/".join(parts).lower():
                return handle, files
        raise Refusal(404, "Model not found")

    def ListModelInstanceVersionFiles(self, request: dict) -> dict:
        files = self._model(request)[1]
        page, more = paged(sorted(files), request)
        return {"files": [{"name": n, "size": len(files[n])} for n in page], "nextPageToken": more}

    def DownloadModelInstanceVersion(self, request: dict) -> str:
        handle, files = self._model(request)
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


def paged(items: list, request: dict) -> tuple[list, str]:
    """One page of the items, and the token of the next."""
    start, size = int(request.get("pageToken") or 0), int(request.get("pageSize") or 20)
    return items[start : start + size], str(start + size) if start + size < len(items) else ""


def as_json(data: object) -> bytes:
    """The body of an answer."""
    return json.dumps(data).encode()
