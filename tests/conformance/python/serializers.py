"""Confluent's Python serializers against a registry: a question a line on standard input, an answer a line on standard output, both JSON.

    serializers.py URL

    {"op": "write", "format": F, "topic": T, "key": bool, "schema": TEXT, "value": V, "guid": bool}   -> {"payload": HEX, "headers": {NAME: HEX}}
    {"op": "read",  "format": F, "topic": T, "key": bool, "payload": HEX, "headers": {...}, "schema": TEXT}  -> {"value": V}

F is "avro" (AvroSerializer), "avro-old" (the serializer below AvroProducer and AvroConsumer), "json" or "protobuf". bytes are {"hex": HEX} in values, decimals are strings.
"guid": the schema's guid in a header instead of its id before the payload. For protobuf "schema" is a FileDescriptorProto in base64 (what the registry answers for format=serialized) and "message" names the message in it.
A failure is {"error": TEXT}.
"""

import base64
import json
import sys
import warnings
from decimal import Decimal

warnings.simplefilter("ignore")

from confluent_kafka.avro import CachedSchemaRegistryClient, MessageSerializer, loads
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory


def from_json(value):
    if isinstance(value, dict):
        if set(value) == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {k: from_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [from_json(v) for v in value]
    return value


def to_json(value):
    if isinstance(value, (bytes, bytearray)):
        return {"hex": bytes(value).hex()}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {k: to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value


def message_class(question):
    file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(question["schema"]))
    pool = descriptor_pool.DescriptorPool()
    default = descriptor_pool.Default()
    for name in file.dependency:
        copy = descriptor_pb2.FileDescriptorProto()
        default.FindFileByName(name).CopyToProto(copy)
        pool.Add(copy)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(question["message"]))


def write(url, client, question):
    topic, value = question["topic"], from_json(question["value"])
    field = MessageField.KEY if question.get("key") else MessageField.VALUE
    config = {"schema.id.serializer": header_schema_id_serializer} if question.get("guid") else {}
    headers = []
    context = SerializationContext(topic, field, headers)
    match question["format"]:
        case "avro":
            payload = AvroSerializer(client, question["schema"], conf=config)(value, context)
        case "avro-old":
            serializer = MessageSerializer(CachedSchemaRegistryClient({"url": url}))
            payload = serializer.encode_record_with_schema(topic, loads(question["schema"]), value, is_key=question.get("key", False))
        case "json":
            payload = JSONSerializer(question["schema"], client, conf=config)(value, context)
        case "protobuf":
            message = json_format.ParseDict(value, message_class(question)())
            payload = ProtobufSerializer(type(message), client, conf={"use.deprecated.format": False, **config})(message, context)
    names = context.headers if isinstance(context.headers, list) else headers
    return {"payload": payload.hex(), "headers": {k: v.hex() for k, v in names}}


def read(url, client, question):
    payload = bytes.fromhex(question["payload"])
    field = MessageField.KEY if question.get("key") else MessageField.VALUE
    headers = [(k, bytes.fromhex(v)) for k, v in question.get("headers", {}).items()]
    context = SerializationContext(question["topic"], field, headers)
    match question["format"]:
        case "avro":
            value = AvroDeserializer(client)(payload, context)
        case "avro-old":
            value = MessageSerializer(CachedSchemaRegistryClient({"url": url})).decode_message(payload, is_key=question.get("key", False))
        case "json":
            value = JSONDeserializer(None, schema_registry_client=client)(payload, context)
        case "protobuf":
            message = ProtobufDeserializer(message_class(question), {"use.deprecated.format": False}, client)(payload, context)
            value = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return {"value": to_json(value)}


def main():
    url = sys.argv[1]
    client = SchemaRegistryClient({"url": url})
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"write": write, "read": read}[question["op"]](url, client, question)
        except Exception as error:  # any failure is an answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
