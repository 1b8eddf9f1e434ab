/** A check that is known to fail for a backend, as data beside that backend. */
export interface KnownGap {
  /** The id of the check. */
  readonly case: string;
  readonly reason: string;
}

/** The gaps that name no check of the suite. Each is an error, since a stale gap is misleading. */
export function unknownGaps(gaps: readonly KnownGap[], ids: Iterable<string>): readonly KnownGap[] {
  const known = new Set(ids);
  return gaps.filter((gap) => !known.has(gap.case));
}

export const GAP_CLOSED = 'passes, but is listed as a known gap: remove it from the gaps';
export const GAP_UNKNOWN = 'is listed as a known gap, but no check has this id';
