/** Dawn's switches by name. */
export interface Toggles {
  readonly enable: readonly string[];
  readonly disable: readonly string[];
}
