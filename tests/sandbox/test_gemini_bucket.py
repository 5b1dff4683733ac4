"""The bucket service that Vertex AI's batches use, by plain HTTP."""

import httpx2


def test_a_bucket_lists_its_objects_page_by_page(sandbox):
    names = ["a/1", "a/2", "b/1", "c"]
    with httpx2.Client(base_url=f"{sandbox.origin}/gcs") as bucket:
        for name in names:
            asked = {"uploadType": "resumable", "name": name}
            begun = bucket.post("/upload/storage/v1/b/x/o", params=asked)
            whole = {"content-range": "bytes 0-0/1"}
            bucket.post(begun.headers["location"], content=b"1", headers=whole)

        def listed(**query: str) -> list[tuple[list[str], list[str]]]:
            pages, token = [], ""
            while token is not None:
                params = {**query, "maxResults": "2", "pageToken": token}
                page = bucket.get("/storage/v1/b/x/o", params=params).json()
                pages.append(([item["name"] for item in page["items"]], page["prefixes"]))
                token = page.get("nextPageToken")
            return pages

        assert listed() == [(["a/1", "a/2"], []), (["b/1", "c"], [])]
        assert listed(delimiter="/") == [([], ["a/", "b/"]), (["c"], [])]
