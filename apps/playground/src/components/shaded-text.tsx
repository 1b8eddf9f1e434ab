import { useMemo } from 'preact/hooks';
import { colour, type Theme } from '../selection/colour.ts';

/** Text of one kind. Kinds are names of classes. */
export interface Run {
  readonly kind: string;
  readonly text: string;
}

/** Tokens that follow each other in the text, and how dark each is, from 0 to 1. */
export interface Shading {
  /** The character at which the first of them begins. */
  readonly start: number;
  readonly labels: readonly string[];
  readonly shades: ArrayLike<number>;
  /** The index that the first of them has for `onChoose`. */
  readonly first: number;
}

interface ShadedTextProps {
  readonly runs: readonly Run[];
  /** Undefined for plain text. */
  readonly shading: Shading | undefined;
  readonly theme: Theme;
  /** The index of the token that is framed. */
  readonly chosen: number;
  readonly onChoose: (token: number) => void;
}

/** Text with its tokens shaded. The pointer chooses a token as it passes over it. */
export function ShadedText({ runs, shading, theme, chosen, onChoose }: ShadedTextProps) {
  const choose = (event: Event): void => {
    const token = (event.target as HTMLElement).closest<HTMLElement>('[data-token]')?.dataset.token;
    if (token !== undefined) onChoose(Number(token));
  };
  const end = useMemo(() => shading?.labels.reduce((sum, { length }) => sum + length, shading.start), [shading]);
  const [shaded, rest] = split(runs, end ?? 0);
  // Text comes faster than shades: what is shaded is drawn again only where it changed.
  const text = shaded.map(({ kind, text }) => `${kind} ${text}`).join('\0');
  const spans = useMemo(
    () =>
      pieces(shaded, shading).map(({ kind, text, token, shade }, index) => {
        if (token === undefined)
          return (
            <span key={index} class={kind}>
              {text}
            </span>
          );
        const { fill, ink } = colour(shade, theme);
        return (
          <span
            key={index}
            class={`${kind} token ${token === chosen ? 'here' : ''}`}
            data-token={token}
            style={{ background: fill, color: ink }}
          >
            {text}
          </span>
        );
      }),
    [text, shading, theme, chosen],
  );
  return (
    // biome-ignore lint/a11y: a shortcut for the pointer; who owns this text gives the keyboard a way
    <span class="shaded" onPointerOver={choose} onClick={choose}>
      <span>{spans}</span>
      {rest.map(({ kind, text }, index) => (
        <span key={index} class={kind}>
          {text}
        </span>
      ))}
    </span>
  );
}

/** The runs before a character, and those from it on. */
function split(runs: readonly Run[], at: number): readonly [readonly Run[], readonly Run[]] {
  const [before, after]: [Run[], Run[]] = [[], []];
  let place = 0;
  for (const { kind, text } of runs) {
    const cut = Math.min(Math.max(at - place, 0), text.length);
    if (cut > 0) before.push({ kind, text: text.slice(0, cut) });
    if (cut < text.length) after.push({ kind, text: text.slice(cut) });
    place += text.length;
  }
  return [before, after];
}

/** The token that a key leads to: the one before by the left arrow, the next one by the right; undefined for others. */
export function tokenAfter(event: KeyboardEvent, token: number, tokens: number): number | undefined {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by === undefined) return undefined;
  event.preventDefault();
  return Math.min(Math.max(token + by, 0), tokens - 1);
}

type Piece = Run &
  ({ readonly token: undefined; readonly shade: 0 } | { readonly token: number; readonly shade: number });

/** Cuts runs where tokens begin and end. A token that lies in two runs has a piece in each. */
export function pieces(runs: readonly Run[], shading: Shading | undefined): readonly Piece[] {
  const cut: Piece[] = [];
  let place = 0;
  let token = 0;
  let tokenEnd = shading === undefined ? 0 : shading.start + (shading.labels[0]?.length ?? 0);
  for (const { kind, text } of runs) {
    const end = place + text.length;
    for (let from = place; from < end; ) {
      const inside = shading !== undefined && from >= shading.start && token < shading.labels.length;
      const next = inside ? tokenEnd : shading !== undefined && from < shading.start ? shading.start : end;
      const to = Math.min(next, end);
      const part = text.slice(from - place, to - place);
      if (!inside) cut.push({ kind, text: part, token: undefined, shade: 0 });
      else if (part !== '') cut.push({ kind, text: part, token: shading.first + token, shade: shading.shades[token]! });
      if (inside && to === tokenEnd) tokenEnd += shading.labels[++token]?.length ?? 0;
      from = to;
    }
    place = end;
  }
  return cut;
}
