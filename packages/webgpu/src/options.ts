import type { Toggles } from './gpu/platform-browser.ts';
import type { ScanVariant } from './operations/selective-scan-plan.ts';

export interface WebGpuOptions {
  /** A device to run on. It stays the caller's: dispose frees what the backend made on it, and leaves it alive. */
  readonly device?: GPUDevice | undefined;
  /** A GPU to ask for an adapter, in place of this platform's own. */
  readonly gpu?: GPU | undefined;
  /** Default `high-performance`. */
  readonly powerPreference?: GPUPowerPreference | undefined;
  /**
   * Node only: Dawn's toggles by name, for example `{ enable: ['disable_robustness'], disable: [] }`. Some remove checks that keep a
   * bug of a shader from reading other memory; none is set unless named here.
   */
  readonly toggles?: Toggles | undefined;
  /** Time every dispatch, see `profileOf`. Needs `timestamp-query`; default false. */
  readonly profile?: boolean | undefined;
  /** Use subgroups where the device has them. Default true. */
  readonly subgroups?: boolean | undefined;
  /** Ask for no more than the limits that every browser grants. Default false. */
  readonly defaultLimits?: boolean | undefined;
  /**
   * Freed memory that is kept for reuse beyond the most that was in use at once, in bytes: more saves allocations, which are slow on
   * every device. Default 256 MiB.
   */
  readonly spareBytes?: number | undefined;
  /** Force how the selective scan is laid out, in place of the rule; for tests and measurements. */
  readonly scanVariant?: ScanVariant | undefined;
}
