/** Nodes, tensors and graphs of ONNX (onnx.proto3), as messages. */
import { float, integer, type Message, message, nested, text } from './protobuf.ts';

export type Attribute = number | string | readonly number[] | { readonly float: number } | { readonly graph: Message };

export interface Graph {
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

export interface ValueInfo {
  readonly name: string;
  readonly type: 'float' | 'int64';
  /** The extents; a name stands for a free one. */
  readonly shape: readonly (number | string)[];
}

const FLOAT = 1;
const INT64 = 7;

/** Collects a graph's nodes and constants; gives the names of what nodes make. */
export class GraphBuilder {
  readonly #nodes: Message[] = [];
  readonly #tensors: Message[] = [];
  #count = 0;
  readonly #prefix: string;

  constructor(prefix = 'v') {
    this.#prefix = prefix;
  }

  /** Adds a node of one output, with this name or a fresh one. */
  node(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    name?: string,
  ): string {
    return this.nodes(type, inputs, [name ?? this.#fresh()], attributes)[0]!;
  }

  /** Adds a node whose outputs get these names, or so many fresh ones. */
  nodes(
    type: string,
    inputs: readonly string[],
    outputs: readonly string[] | number,
    attributes: Readonly<Record<string, Attribute>> = {},
    domain?: typeof MICROSOFT,
  ): readonly string[] {
    const names = typeof outputs === 'number' ? Array.from({ length: outputs }, () => this.#fresh()) : outputs;
    const fields = [
      ...inputs.map((input) => text(1, input)),
      ...names.map((output) => text(2, output)),
      text(4, type),
      ...Object.entries(attributes).map(([name, value]) => nested(5, attribute(name, value))),
      ...(domain === undefined ? [] : [text(7, domain)]),
    ];
    this.#nodes.push(nested(1, message(...fields)));
    return names;
  }

  floats(shape: readonly number[], data: Float32Array): string {
    return this.#tensor(FLOAT, shape, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }

  integers(values: readonly number[]): string {
    return this.#tensor(INT64, [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  build({ name, inputs, outputs }: Graph): Message {
    return message(
      ...this.#nodes,
      text(2, name),
      ...this.#tensors,
      ...inputs.map((value) => nested(11, valueInfo(value))),
      ...outputs.map((value) => nested(12, valueInfo(value))),
    );
  }

  #tensor(type: number, shape: readonly number[], bytes: Uint8Array): string {
    const name = this.#fresh();
    const dims = shape.map((extent) => integer(1, extent));
    this.#tensors.push(nested(5, message(...dims, integer(2, type), text(8, name), nested(9, [bytes]))));
    return name;
  }

  #fresh(): string {
    return `${this.#prefix}${this.#count++}`;
  }
}

/** Operators that ONNX Runtime adds to the standard ones. */
export const MICROSOFT = 'com.microsoft';

/** The whole file of a graph. */
export function modelFile(graph: Message): Message {
  const opsets = [message(text(1, ''), integer(2, 17)), message(text(1, MICROSOFT), integer(2, 1))];
  return message(integer(1, 8), text(2, 'mamba-bench'), nested(7, graph), ...opsets.map((opset) => nested(8, opset)));
}

function attribute(name: string, value: Attribute): Message {
  const kind = (type: number): Message => integer(20, type);
  if (typeof value === 'number') return message(text(1, name), integer(3, value), kind(2));
  if (typeof value === 'string') return message(text(1, name), text(4, value), kind(3));
  if ('float' in value) return message(text(1, name), float(2, value.float), kind(1));
  if ('graph' in value) return message(text(1, name), nested(6, value.graph), kind(5));
  return message(text(1, name), ...value.map((one) => integer(8, one)), kind(7));
}

function valueInfo({ name, type, shape }: ValueInfo): Message {
  const dims = shape.map((extent) => nested(1, typeof extent === 'number' ? integer(1, extent) : text(2, extent)));
  const tensor = message(integer(1, type === 'float' ? FLOAT : INT64), nested(2, message(...dims)));
  return message(text(1, name), nested(2, nested(1, tensor)));
}
