/**
 * What the page's backend asks for: the limits that every browser grants, and no subgroups. Node's run takes all that
 * its adapter has.
 */
export const OF_EVERY_BROWSER = { defaultLimits: true, subgroups: false } as const;
