/** Time of all dispatches under one label. */
export interface ProfileEntry {
  /** Shader, its link and what it was specialised by. */
  readonly label: string;
  readonly dispatches: number;
  readonly nanoseconds: number;
}
