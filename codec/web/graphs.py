"""Graphs without the weights that browsers do not need: those of other signatures.

The weights of a synthesis stand behind its FlatBuffer, which says where each is.
"""

from ai_edge_litert import schema_py_generated as schema

from codec.networks.bundle import EXACT

OFFSET_FIELD, SIZE_FIELD = 6, 8  # of a buffer: where its fields are in its table
ALIGNMENT = 16


def slim(data: bytes) -> bytes:
    """The graph with the signature EXACT alone in order."""
    graph = schema.Model.GetRootAs(data, 0)
    needed = needed_buffers(graph)
    buffers = [graph.Buffers(i) for i in range(graph.BuffersLength())]
    behind = [i for i, buffer in enumerate(buffers) if buffer.Offset() > 1]
    if not behind:
        return data
    out = bytearray(data[: min(buffers[i].Offset() for i in behind)])
    for i in behind:
        buffer, offset, size = buffers[i], 0, 0
        if i in needed:
            out += b"\0" * (-len(out) % ALIGNMENT)
            offset, size = len(out), buffer.Size()
            out += data[buffer.Offset() : buffer.Offset() + size]
        for field, value in ((OFFSET_FIELD, offset), (SIZE_FIELD, size)):
            place = buffer._tab.Pos + buffer._tab.Offset(field)
            out[place : place + 8] = value.to_bytes(8, "little")
    return bytes(out)


def needed_buffers(graph: schema.Model) -> set[int]:
    """Those of the tensors of the signature EXACT."""
    signatures = [graph.SignatureDefs(i) for i in range(graph.SignatureDefsLength())]
    (exact,) = (s for s in signatures if s.SignatureKey() == EXACT.encode())
    subgraph = graph.Subgraphs(exact.SubgraphIndex())
    tensors = (subgraph.Tensors(i) for i in range(subgraph.TensorsLength()))
    return {tensor.Buffer() for tensor in tensors}
