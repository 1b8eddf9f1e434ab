/** Of work that may never end. */
export interface Bounds {
  /** What it is the work of, for messages. */
  readonly origin: string;
  readonly milliseconds: number;
  readonly remedy: string;
}
