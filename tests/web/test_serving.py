"""The page's questions and their answers, without a browser."""

from __future__ import annotations

import asyncio
import io
import json

import numpy as np
import pytest
from makers import SIZE, config
from PIL import Image
from websites import Estimator, Generator

from pose_gan.errors import InputError
from pose_gan.evaluation import explanation
from pose_gan.poses.drawing import to_uint8
from pose_gan.poses.keypoints import found, read_annotations, write_annotations
from pose_gan.web import photos
from pose_gan.web.studio import LAYERS, Studio

HEIGHT, WIDTH = SIZE


def png(height: int, width: int, level: int = 120) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def picture_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def question(number: int, opened: dict, **values) -> str:
    """What the page asks, with its own pose as the target."""
    pose = opened["pose"]
    return json.dumps({"n": number, "source": opened["id"], "source_pose": pose, "pose": pose} | values)


def pictures(answer: bytes) -> tuple[int, np.ndarray]:
    """The number of an answer, and its pictures `(count, H, W, 3)`."""
    return int.from_bytes(answer[:4], "big"), np.frombuffer(answer[4:], np.uint8).reshape(-1, *SIZE, 3)


# ------------------------------------------------------------------------------------------------ images


def test_the_folder_is_listed_found_by_name_and_shown(open_site, folder):
    async def run():
        async with open_site() as site:
            code, answer = await site.ask("/api/images?start=1&count=2")
            assert code == 200
            assert answer["total"] == 4
            assert [image["name"] for image in answer["images"]] == ["b.png", "c.png"]
            assert [image["pose"] for image in answer["images"]] == [True, False]
            _, answer = await site.ask("/api/images?text=LARGE")
            assert [image["number"] for image in answer["images"]] == [3]
            thumbnail = await site.fetch("/api/images/0")
            assert thumbnail.headers["Content-Type"] == "image/png"
            np.testing.assert_array_equal(picture_of(thumbnail.body), picture_of((folder / "a.png").read_bytes()))
            assert picture_of((await site.fetch("/api/images/3")).body).shape == (*SIZE, 3)
            assert (await site.fetch("/api/images/4")).code == 400
            assert (await site.fetch("/api/images?start=nan")).code == 400

    asyncio.run(run())


def test_an_image_of_the_folder_becomes_the_source_with_its_annotated_pose(open_site, folder):
    async def run():
        async with open_site() as site:
            code, source = await site.ask("/api/sources", {"image": 1})
            assert code == 200
            assert (source["name"], source["found"], source["note"]) == ("b.png", True, "")
            told = read_annotations(folder.with_suffix(".csv"))
            np.testing.assert_array_equal(source["pose"], told.keypoints[1])
            shown = picture_of((await site.fetch(f"/api/sources/{source['id']}")).body)
            np.testing.assert_array_equal(shown, picture_of((folder / "b.png").read_bytes()))
            _, estimated = await site.ask("/api/sources", {"image": 2})
            assert estimated["found"]
            code, answer = await site.ask("/api/sources", {"image": 99})
            assert code == 400
            assert "no image 99" in answer["error"]

    asyncio.run(run())


# ----------------------------------------------------------------------------------------------- uploads


def test_an_uploaded_photo_is_framed_around_the_person(open_site):
    async def run():
        async with open_site() as site:
            code, source = await site.upload(png(400, 500), "me.png")
            assert code == 200
            assert source["found"]
            assert source["name"] == "me.png"
            pose = np.array(source["pose"])
            assert found(pose).all()
            assert np.all((pose >= 0) & (pose < SIZE))
            assert np.ptp(pose[:, 0]) > 0.6 * HEIGHT  # the person fills the frame
            assert picture_of((await site.fetch(f"/api/sources/{source['id']}")).body).shape == (*SIZE, 3)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "photo.png is empty. Choose a photo."),
        (b"GIF89a but no more", "photo.png cannot be used: "),
        (b"<html>no picture</html>", "photo.png cannot be used: not an image"),
        (png(300, 300)[:400], "photo.png cannot be used: "),
        (b"\0\0\0\x18ftypheic but no more", "photo.png cannot be used: "),
    ],
    ids=["empty", "damaged header", "no image", "truncated", "no photo of a phone"],
)
def test_a_bad_upload_is_told_in_words_without_paths(open_site, content, words):
    async def run():
        async with open_site() as site:
            code, answer = await site.upload(content)
            assert code == 400
            assert answer["error"].startswith(words)
            assert "/tmp" not in answer["error"]
            assert "upload." not in answer["error"]

    asyncio.run(run())


def test_uploads_are_limited_in_bytes_and_pixels(open_site, monkeypatch):
    async def run():
        async with open_site() as site:
            monkeypatch.setattr(photos, "MAX_BYTES", 1 << 20)
            code, answer = await site.upload(bytes(3 << 20))
            assert code == 400
            assert "photo.png has 3 MB; at most 1 MB are taken" in answer["error"]
            monkeypatch.setattr(photos, "MAX_PIXELS", 10_000)
            code, answer = await site.upload(png(101, 100))
            assert code == 400
            assert "100 × 101 pixels; at most" in answer["error"]
            assert (await site.upload(png(100, 100)))[0] == 200

    asyncio.run(run())


def test_a_request_without_end_is_cut_off(open_site):
    async def run():
        async with open_site() as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            head = ("POST /api/sources HTTP/1.1", "Host: 127.0.0.1", f"X-Key: {site.key}", f"Content-Length: {1 << 40}")
            writer.write("\r\n".join((*head, "", "")).encode())
            answer = await asyncio.wait_for(reader.read(), 30)
            assert answer.startswith(b"HTTP/1.1 400")
            writer.close()

    asyncio.run(run())


def test_nobody_found_says_what_to_do_and_offers_a_skeleton(open_site):
    async def run():
        async with open_site() as site:
            _, source = await site.upload(png(200, 200, level=0))
            assert not source["found"]
            assert source["note"].startswith("No person was found in this photo. One person should be seen upright")
            assert "or drag the joints" in source["note"]
            assert found(np.array(source["pose"])).all()
        async with open_site(estimator=False) as site:
            _, source = await site.upload(png(200, 200))
            assert "no pose estimator" in source["note"]

    asyncio.run(run())


def test_a_pose_placed_by_hand_frames_the_person(open_site):
    async def run():
        async with open_site(estimator=False) as site:
            _, source = await site.upload(png(600, 600))
            small = (np.array(source["pose"]) * 0.3 + 20).tolist()  # the person is a third as high as the photo
            code, framed = await site.ask("/api/sources", {"source": source["id"], "pose": small})
            assert code == 200
            assert framed["id"] != source["id"]
            assert np.ptp(np.array(framed["pose"])[:, 0]) > 1.5 * np.ptp(np.array(small)[:, 0])

    asyncio.run(run())


def test_old_sources_are_forgotten(open_site):
    async def run():
        async with open_site() as site:
            _, first = await site.ask("/api/sources", {"image": 0})
            for _ in range(24):
                await site.ask("/api/sources", {"image": 0})
            answer = await site.fetch(f"/api/sources/{first['id']}")
            assert answer.code == 400
            assert "choose it again" in json.loads(answer.body)["error"]

    asyncio.run(run())


# -------------------------------------------------------------------------------------------------- rows


def test_a_saved_row_is_the_pose_in_the_file_s_pixels_and_goes_around(open_site, folder):
    """The row of an image that nobody touched is its annotation; a row is replaced; others stay as they are."""

    async def run():
        async with open_site() as site:
            write_annotations(site.rows, ["other.png"], np.full((1, 18, 2), 5))
            _, source = await site.ask("/api/sources", {"image": 0})
            code, answer = await site.ask("/api/rows", {"source": source["id"], "pose": source["pose"]})
            assert (code, answer["done"]) == (200, "a.png: row added in rows.csv")
            saved, told = read_annotations(site.rows), read_annotations(folder.with_suffix(".csv"))
            assert saved.names == ("other.png", "a.png")
            np.testing.assert_array_equal(saved.keypoints[1], told.keypoints[0])
            source["pose"][3] = [10.4, 20.6]
            source["pose"][4] = [-1, -1]
            _, answer = await site.ask("/api/rows", {"source": source["id"], "pose": source["pose"]})
            assert answer["done"] == "a.png: row replaced in rows.csv"
            saved = read_annotations(site.rows)
            assert saved.names == ("other.png", "a.png")
            np.testing.assert_array_equal(saved.keypoints[1][3], (10, 21))
            np.testing.assert_array_equal(saved.keypoints[1][4], (-1, -1))
            np.testing.assert_array_equal(saved.keypoints[0], 5)

    asyncio.run(run())


def test_a_row_of_a_large_photo_is_in_its_own_pixels(open_site, monkeypatch):
    """Also where the photo is kept smaller: the estimator's pose comes back within a kept pixel."""

    async def run():
        async with open_site() as site:
            for kept in (1280, 400):
                monkeypatch.setattr(photos, "SIDE", kept)
                _, source = await site.upload(png(800, 1000), "large.png")
                await site.ask("/api/rows", {"source": source["id"], "pose": source["pose"]})
                saved = read_annotations(site.rows).keypoints[0]
                real = Estimator.pose / 100 * (800, 1000)
                pixel = np.ptp(real[:, 0]) / np.ptp(np.array(source["pose"])[:, 0])  # of the frame, in the photo
                assert pixel > 2
                np.testing.assert_allclose(saved, real, atol=pixel + 1000 / kept + 1)

    asyncio.run(run())


def test_rows_that_cannot_be_saved_are_told_in_words(open_site):
    async def run():
        async with open_site() as site:
            _, source = await site.upload(png(100, 100), "..%2F..%2Fetc%2Fpasswd")
            code, answer = await site.ask("/api/rows", {"source": source["id"], "pose": source["pose"]})
            assert code == 400
            assert "an image name that is a path" in answer["error"]
            assert not site.rows.exists()
            for pose in (None, [[1, 2]], "x", [[float("inf"), 1]] * 18, [[None, 1]] * 18):
                code, answer = await site.ask("/api/rows", {"source": source["id"], "pose": pose})
                assert code == 400
                assert answer["error"] == "pose: expected 18 pairs of numbers [y, x]"
            _, source = await site.upload(png(100, 100), "a.png")
            code, answer = await site.ask("/api/rows", {"source": source["id"], "pose": [[-1, -1]] * 18})
            assert "place some first" in answer["error"]
        async with open_site(rows=False) as site:
            _, source = await site.ask("/api/sources", {"image": 0})
            code, answer = await site.ask("/api/rows", {"source": source["id"], "pose": source["pose"]})
            assert code == 400
            assert "--keypoints_output" in answer["error"]

    asyncio.run(run())


def test_a_pose_is_given_as_a_file_of_annotations(open_site, tmp_path):
    async def run():
        async with open_site() as site:
            pose = [[1.4, 2.6], [-1, -1], [200, 5], *[[5, 6]] * 15]
            answer = await site.fetch("/api/pose", json.dumps({"pose": pose}))
            (tmp_path / "pose.csv").write_bytes(answer.body)
            read = read_annotations(tmp_path / "pose.csv").keypoints[0]
            np.testing.assert_array_equal(read[:4], [(1, 3), (-1, -1), (-1, -1), (5, 6)])  # one lies outside

    asyncio.run(run())


def test_the_walk_is_served(open_site):
    async def run():
        async with open_site() as site:
            _, answer = await site.ask("/api/walk?view=90")
            assert np.array(answer["poses"]).shape == (24, 18, 2)
            assert (await site.fetch("/api/walk?view=inf")).code == 400

    asyncio.run(run())


# ------------------------------------------------------------------------------------------ live pictures


def test_live_answers_are_the_generator_s_image_and_the_layers(open_site):
    async def run():
        async with open_site() as site:
            _, source = await site.ask("/api/sources", {"image": 0})
            live = await site.live()
            layers = ["heat_maps", "deformed_source"]
            await live.write_message(question(4_000_000_000, source, layers=layers))
            number, shown = pictures(await live.read_message())
            assert number == 4_000_000_000
            batch = site.generator.batches[-1]
            np.testing.assert_array_equal(shown[0], to_uint8(site.generator(batch)[0]))
            pose, photo = np.array(source["pose"], np.float32), to_uint8(batch["source_image"][0])
            np.testing.assert_array_equal(batch["target_keypoints"][0], pose)
            assert shown.shape[0] == 3
            np.testing.assert_array_equal(shown[2], explanation.deformed_source(photo, pose, pose, config()))
            await live.write_message(question(1, source, layers=["deformed_source"], part=3))
            part = explanation.deformed_source_by_part(photo, pose, pose, config())[3]
            np.testing.assert_array_equal(pictures(await live.read_message())[1][1], part)
            live.close()

    asyncio.run(run())


def test_joints_outside_of_the_picture_are_missing_for_the_generator(open_site):
    async def run():
        async with open_site() as site:
            _, source = await site.ask("/api/sources", {"image": 0})
            pose = source["pose"][:]
            pose[0], pose[1], pose[2] = [-0.5, 5], [5, WIDTH - 0.5], [HEIGHT - 1, WIDTH - 1]
            live = await site.live()
            await live.write_message(question(1, source, pose=pose))
            await live.read_message()
            seen = site.generator.batches[-1]["target_keypoints"][0]
            np.testing.assert_array_equal(found(seen)[:3], (False, False, True))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"source": "nobody"}, "choose it again"),
        ({"pose": [[1, 2]]}, "expected 18 pairs"),
        ({"layers": ["/etc/passwd"]}, "layers: allowed"),
        ({"layers": 1}, "layers: allowed"),
        ({"layers": ["heat_maps"] * 9}, "each once"),
        ({"layers": ["source_parts"], "part": True}, "part: expected a number of 0 to 9"),
        ({"layers": ["source_parts"], "part": 99}, "part: expected a number of 0 to 9"),
        ({"n": -1}, "n: expected a number"),
        ({"n": "1"}, "n: expected a number"),
        ({"n": True}, "n: expected a number"),
        ({"pose": [[10**400, 1]] * 18}, "expected 18 pairs"),
        ({"pose": [["1", "2"]] * 18}, "expected 18 pairs"),
    ],
)
def test_live_questions_that_cannot_be_answered_are_told_in_words(open_site, values, words):
    async def run():
        async with open_site() as site:
            _, source = await site.ask("/api/sources", {"image": 0})
            live = await site.live()
            await live.write_message(question(1, source, **values))
            assert words in json.loads(await live.read_message())["error"]
            await live.write_message("no JSON")
            assert "not JSON" in json.loads(await live.read_message())["error"]
            await live.write_message(question(2, source))  # the connection goes on
            assert pictures(await live.read_message())[0] == 2

    asyncio.run(run())


def test_of_the_questions_that_wait_only_the_newest_is_answered(open_site):
    async def run():
        async with open_site() as site:
            _, source = await site.ask("/api/sources", {"image": 0})
            live = await site.live()
            site.generator.may_end.clear()
            await live.write_message(question(0, source))
            while not site.generator.now:  # the first one has begun
                await asyncio.sleep(0.01)
            for number in range(1, 6):
                await live.write_message(question(number, source))
            stale = [json.loads(await live.read_message()) for _ in range(4)]
            assert stale == [{"n": number, "stale": True} for number in range(1, 5)]
            site.generator.may_end.set()
            assert [pictures(await live.read_message())[0] for _ in range(2)] == [0, 5]
            assert len(site.generator.batches) == 2

    asyncio.run(run())


def test_one_generation_at_a_time_and_pages_take_turns(open_site):
    async def run():
        async with open_site() as site:
            site.generator.seconds = 0.01
            _, source = await site.ask("/api/sources", {"image": 0})
            answered = []

            async def use(page_number: int) -> None:
                live = await site.live()
                for number in range(5):
                    await live.write_message(question(number, source))
                    assert pictures(await live.read_message())[0] == number
                    answered.append(page_number)
                live.close()

            await asyncio.gather(*(use(number) for number in range(3)))
            assert site.generator.most == 1
            assert set(answered[:6]) == {0, 1, 2}

    asyncio.run(run())


def test_a_page_that_is_closed_takes_its_question_along(open_site):
    async def run():
        async with open_site() as site:
            _, source = await site.ask("/api/sources", {"image": 0})
            first, second = await site.live(), await site.live()
            site.generator.may_end.clear()
            await first.write_message(question(1, source))
            while not site.generator.now:
                await asyncio.sleep(0.01)
            await second.write_message(question(2, source))
            await asyncio.sleep(0.05)
            second.close()
            await asyncio.sleep(0.05)
            site.generator.may_end.set()
            assert pictures(await first.read_message())[0] == 1
            await first.write_message(question(3, source))
            assert pictures(await first.read_message())[0] == 3
            assert len(site.generator.batches) == 2

    asyncio.run(run())


def test_pages_and_questions_are_limited(open_site):
    async def run():
        async with open_site() as site:
            pages = [await site.live() for _ in range(8)]
            ninth = await site.live()
            assert await asyncio.wait_for(ninth.read_message(), 20) is None
            assert ninth.close_code == 1013
            await pages[0].write_message("x" * (1 << 19))
            assert await asyncio.wait_for(pages[0].read_message(), 20) is None  # closed
            for live in pages:
                live.close()

    asyncio.run(run())


# --------------------------------------------------------------------------------------------- generators


def test_a_generator_that_the_page_cannot_serve_is_refused():
    with pytest.raises(InputError, match="takes a background image"):
        Studio(Generator(), config(use_bg=True))


def test_a_generator_that_moves_no_parts_shows_no_deformed_source():
    told = Studio(Generator(), config(warp_skip="none")).describe()
    assert "deformed_source" not in told["layers"]
    assert told["parts"] == []
    assert Studio(Generator(), config()).describe()["layers"] == list(LAYERS)
