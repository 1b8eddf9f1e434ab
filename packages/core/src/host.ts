/**
 * Types of Node or a browser that the declarations of these packages name. Each is the host's own type where the user's
 * compiler knows it, and otherwise the part of it that the packages use, so that users need neither a `lib` nor
 * `@types`. scripts/declare.mjs adds the imports of these types to the declarations.
 */
type Known<Name extends string, Otherwise> =
  typeof globalThis extends Readonly<Record<Name, { readonly prototype: infer Instance }>> ? Instance : Otherwise;

export type AbortSignal = Known<'AbortSignal', { readonly aborted: boolean; readonly reason: unknown }>;
export type URL = Known<'URL', { readonly href: string }>;
export type Blob = Known<'Blob', { readonly size: number; arrayBuffer(): Promise<ArrayBuffer> }>;
export type File = Known<'File', Blob & { readonly name: string }>;
export type Event = Known<'Event', { readonly type: string }>;
export type Transferable = Known<'MessagePort', object> | ArrayBuffer;
export type Response = Known<
  'Response',
  { readonly ok: boolean; readonly status: number; readonly statusText: string }
>;
export type Fetch = typeof globalThis extends { readonly fetch: infer Function }
  ? Function
  : (address: string, options?: object) => Promise<unknown>;

export type GPU = Known<'GPU', object>;
export type GPUDevice = Known<'GPUDevice', object>;
export type GPUPowerPreference = 'high-performance' | 'low-power';

export declare namespace WebAssembly {
  type Module = typeof globalThis extends { readonly WebAssembly: { readonly Module: { readonly prototype: infer M } } }
    ? M
    : object;
}
