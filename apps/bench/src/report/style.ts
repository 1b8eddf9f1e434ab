import picocolors from 'picocolors';

export type Style = Pick<
  ReturnType<typeof picocolors.createColors>,
  'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan'
>;

/** Colours for a stream: on a terminal, unless NO_COLOR is set (no-color.org); FORCE_COLOR has them anywhere. */
export function styleFor(
  stream: { readonly isTTY?: boolean | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): Style {
  const forced = isSet(environment.FORCE_COLOR) && environment.FORCE_COLOR !== '0';
  const wanted = !isSet(environment.NO_COLOR) && environment.TERM !== 'dumb' && stream.isTTY === true;
  return picocolors.createColors(forced || wanted);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
