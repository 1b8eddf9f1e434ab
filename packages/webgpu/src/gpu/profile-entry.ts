/** Time of all dispatches under one label. */
export interface ProfileEntry {
  /** The shader, its link alternative and its specialisation. */
  readonly label: string;
  readonly dispatches: number;
  readonly nanoseconds: number;
}
