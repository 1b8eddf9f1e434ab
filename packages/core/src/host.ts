/**
 * Types of Node or a browser that the declarations of these packages name. Each is the host's own type where the user's
 * compiler knows it, and otherwise the part of it that the packages use, so that users need neither a `lib` nor
 * `@types`. scripts/declare.mjs adds the imports of these types to the declarations.
 * @module
 */
type Known<Name extends string, Otherwise> =
  typeof globalThis extends Readonly<Record<Name, { readonly prototype: infer Instance }>> ? Instance : Otherwise;

/** The host's AbortSignal, or `aborted` and `reason` of it. */
export type AbortSignal = Known<'AbortSignal', { readonly aborted: boolean; readonly reason: unknown }>;
/** The host's URL, or `href` of it. */
export type URL = Known<'URL', { readonly href: string }>;
/** The host's Blob, or what reads it. */
export type Blob = Known<
  'Blob',
  {
    readonly size: number;
    /** Reads all bytes. */
    arrayBuffer(): Promise<ArrayBuffer>;
  }
>;
/** The host's File, or a Blob with a name. */
export type File = Known<'File', Blob & { readonly name: string }>;
/** The host's Event, or `type` of it. */
export type Event = Known<'Event', { readonly type: string }>;
/** What a message may hand over to a worker: a MessagePort, where the host has them, or a buffer. */
export type Transferable = Known<'MessagePort', object> | ArrayBuffer;
/** The host's Response of fetch, or its status. */
export type Response = Known<
  'Response',
  { readonly ok: boolean; readonly status: number; readonly statusText: string }
>;
/** The host's fetch, or a function of an address and options. */
export type Fetch = typeof globalThis extends { readonly fetch: infer Function }
  ? Function
  : (address: string, options?: object) => Promise<unknown>;

/** The host's `navigator.gpu`, or any object. */
export type GPU = Known<'GPU', object>;
/** The host's GPUDevice, or any object. */
export type GPUDevice = Known<'GPUDevice', object>;
/** Which adapter WebGPU prefers, where there are several. */
export type GPUPowerPreference = 'high-performance' | 'low-power';

/** The part of WebAssembly that the declarations name. */
export declare namespace WebAssembly {
  /** The host's WebAssembly.Module, or any object. */
  type Module = typeof globalThis extends { readonly WebAssembly: { readonly Module: { readonly prototype: infer M } } }
    ? M
    : object;
}
