"""Learning from corrections: trainings, versions, the review queue, kept crops."""

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from apiflask.schemas import FileSchema
from flask import Response, jsonify, request

from antifake.daemon.service import Answer
from antifake.daemon.web.context import service
from antifake.daemon.web.guards import MAX_FILE_BYTES, caller, requires

from . import learning_schemas as schemas
from . import serialize
from .schemas import Ids

routes = APIBlueprint("learning", __name__, url_prefix="/api/v1", tag="Learning")

PACK = "application/zip"


@routes.get("/learning")
@requires("read")
@routes.output(schemas.LearningState)
def get_state() -> Response:
    """Get how learning stands: the words, what is missing, what runs, when it runs next"""
    return jsonify(serialize.learning(service().learning.state()))


# --- Trainings ----------------------------------------------------------------------------


@routes.get("/learning/trainings")
@requires("read")
@routes.input(schemas.WantedTrainings, location="query", arg_name="query")
@routes.output(schemas.Trainings)
def get_trainings(query: dict[str, Any]) -> Response:
    """List the last trainings, newest first"""
    found = service().learning.trainings(query["limit"])
    return jsonify(trainings=[serialize.training(one) for one in found])


@routes.post("/learning/trainings")
@requires("admin")
@routes.input(schemas.NewTraining, arg_name="body")
@routes.output(schemas.Training, 202)
def start(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Begin a training

    Refused with a sentence if nothing has changed or too few pictures are labelled. Its progress
    comes as events of the kind `training`.
    """
    return serialize.training(service().learning.start(body["source"])), 202


@routes.get("/learning/trainings/<int:name>")
@requires("read")
@routes.output(schemas.Training)
def get_training(name: int) -> Response:
    """Get one training with the trainer's report"""
    return jsonify(serialize.training(service().learning.training(name)))


@routes.get("/learning/trainings/<int:name>/flips")
@requires("read")
@routes.output(schemas.Flips)
def get_flips(name: int) -> Response:
    """Get the pictures that its prompt judges otherwise than the one before"""
    found = service().learning.flips(name)
    return jsonify(flips=[serialize.flip(one, caller()) for one in found])


@routes.get("/learning/trainings/<int:name>/contradictions")
@requires("read")
@routes.output(schemas.Contradictions)
def get_contradictions(name: int) -> Response:
    """Get the groups of near-copies that it left out, because the user said both real and AI-made

    Groups that the user has decided since are not among them.
    """
    found = service().learning.contradictions(name)
    groups = [[serialize.check(Answer(one), caller()) for one in group] for group in found]
    return jsonify(groups=groups)


@routes.post("/learning/trainings/<int:name>/cancel")
@requires("admin")
@routes.output(schemas.Training)
def cancel(name: int) -> Response:
    """End a running training; nothing has changed then"""
    return jsonify(serialize.training(service().learning.cancel(name)))


@routes.post("/learning/trainings/<int:name>/promote")
@requires("admin")
@routes.output(schemas.Training)
def promote(name: int) -> Response:
    """Put the prompt of a training into use, whatever was advised"""
    return jsonify(serialize.training(service().learning.promote(name)))


# --- Versions -----------------------------------------------------------------------------


@routes.get("/learning/versions")
@requires("read")
@routes.output(schemas.Versions)
def get_versions() -> Response:
    """List the versions that can answer: the shipped one, then the newest first"""
    found = service().learning.versions.all()
    return jsonify(versions=[serialize.version(one) for one in found])


@routes.post("/learning/versions:use")
@requires("admin")
@routes.input(schemas.VersionName, arg_name="body")
@routes.output(schemas.Version)
def use(body: dict[str, Any]) -> Response:
    """Put a version into use"""
    return jsonify(serialize.version(service().learning.versions.use(body["name"])))


@routes.post("/learning/versions:rollback")
@requires("admin")
@routes.output(schemas.Version)
def roll_back() -> Response:
    """Take the last change of the version back"""
    return jsonify(serialize.version(service().learning.versions.roll_back()))


@routes.post("/learning/versions:pin")
@requires("admin")
@routes.input(schemas.Pin, arg_name="body")
@routes.output(schemas.Version)
def pin(body: dict[str, Any]) -> Response:
    """Keep a version in use whatever is learned; null ends that"""
    return jsonify(serialize.version(service().learning.versions.pin(body["name"])))


@routes.get("/learning/versions:compare")
@requires("read")
@routes.input(schemas.Compared, location="query", arg_name="query")
@routes.output(schemas.Comparison)
def compare(query: dict[str, Any]) -> Response:
    """Compare two versions"""
    found = service().learning.versions.compare(query["a"], query["b"])
    versions = {"a": serialize.version(found.a), "b": serialize.version(found.b)}
    return jsonify(asdict(found) | versions)


# --- Review -------------------------------------------------------------------------------


@routes.get("/learning/review")
@requires("read")
@routes.output(schemas.Review)
def get_review() -> Response:
    """Get today's pictures, at most ten, that a label would help most with"""
    found = service().learning.review.today()
    items = [
        {"check": serialize.check(Answer(one.entry), caller()), "why": one.why}
        for one in found.items
    ]
    return jsonify(items=items, done_today=found.done_today)


@routes.post("/learning/review:skip")
@requires("correct")
@routes.input(Ids, arg_name="body")
@routes.output({}, 204)
def skip(body: dict[str, Any]) -> Response:
    """Ask no more about these pictures for 30 days"""
    service().learning.review.skip(body["ids"])
    return Response(status=204)


# --- Packs --------------------------------------------------------------------------------


@routes.get("/learning/pack")
@requires("admin")
@routes.input(schemas.WantedPack, location="query", arg_name="query")
@routes.output(FileSchema(type="string", format="binary"), content_type=PACK)
def get_pack(query: dict[str, Any]) -> Response:
    """Export what the user said, the versions and the budget; crops only with `crops=true`"""
    data = service().learning.packs.save(with_crops=query["crops"])
    headers = {"Content-Disposition": 'attachment; filename="antifake-personal.zip"'}
    return Response(data, headers=headers, content_type=PACK)


@routes.post("/learning/pack:preview")
@requires("admin", types=(PACK,), max_bytes=MAX_FILE_BYTES)
@routes.input(schemas.UsePack, location="query", arg_name="query")
@routes.output(schemas.Merge)
def preview_pack(query: dict[str, Any]) -> Response:
    """Tell what a pack would change; nothing is changed"""
    data = request.get_data(cache=False)
    return jsonify(asdict(service().learning.packs.preview(data, use=query.get("use"))))


@routes.post("/learning/pack:import")
@requires("admin", types=(PACK,), max_bytes=MAX_FILE_BYTES)
@routes.input(schemas.UsePack, location="query", arg_name="query")
@routes.output(schemas.Merge)
def import_pack(query: dict[str, Any]) -> Response:
    """Take a pack in beside what is here

    Its version answers afterwards if the shipped one did, or as `use` says.
    """
    data = request.get_data(cache=False)
    return jsonify(asdict(service().learning.packs.take_in(data, use=query.get("use"))))


# --- Kept crops ---------------------------------------------------------------------------


@routes.get("/learning/crops")
@requires("read")
@routes.input(schemas.WantedCrops, location="query", arg_name="query")
@routes.output(schemas.Crops)
def get_crops(query: dict[str, Any]) -> Response:
    """List the kept crops; `next` is the cursor of the next page"""
    limit = query["limit"]
    found = service().learning.crops.page(query.get("cursor"), limit)
    held, kept = service().learning.crops.stats()
    return jsonify(
        crops=[serialize.crop(one) for one in found],
        next=found[-1].sha256 if len(found) == limit else None,
        held=asdict(held),
        kept=asdict(kept),
    )


@routes.post("/learning/crops:delete")
@requires("admin")
@routes.input(schemas.DeletedCrops, arg_name="body")
@routes.output(schemas.CropsDeleted)
def delete_crops(body: dict[str, Any]) -> Response:
    """Delete these crops; null: all. Labels and history stay"""
    return jsonify(deleted=service().learning.crops.delete(body["sha256s"]))
