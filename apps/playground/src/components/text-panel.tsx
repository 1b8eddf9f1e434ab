import type { ModelConfig } from '@mamba/core';
import { stateBytes, stateGrows } from '@mamba/core/toolkit';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Branch, Segment } from '../branch.ts';
import { bytes, count } from '../format.ts';
import { speedWords } from '../pace.ts';
import type { Playground } from '../playground.ts';
import { samplingOptions } from '../sampling.ts';
import { shadingOf } from '../selection/shading.ts';
import { Action } from './action.tsx';
import { Branches } from './branches.tsx';
import { COMPOSER, Composer } from './composer.tsx';
import { Endings, familyOf } from './endings.tsx';
import { Fact } from './fact.tsx';
import { LiveCurves } from './live-curves.tsx';
import { Sampling } from './sampling.tsx';
import { ShadedText, tokenAfter } from './shaded-text.tsx';
import { TokenReadout } from './token-readout.tsx';
import { useTheme } from './use-theme.ts';

/** Characters that are shown of a text; more would be slow to draw. */
const SHOWN = 20_000;

/** Shows the branches, the text of the chosen one, shaded by the selection, and the actions on it. */
export function TextPanel({ playground }: { readonly playground: Playground }) {
  const branch = playground.branch!;
  const { busy, pace, view } = playground;
  const theme = useTheme();
  const transcript = useRef<HTMLDivElement>(null);
  const generating = busy === 'generate';
  const { ids } = branch.transcript;
  const { config } = playground.model!.lm.info;
  const look = playground.look?.branch === branch ? playground.look : undefined;
  const { runs, hidden } = useMemo(() => lastOf(branch.transcript.segments), [branch.transcript.segments]);
  const shading = useMemo(() => shadingOf(look, view, hidden), [look, view.layer, view.scale, hidden]);
  const token = look && Math.min(view.token, look.map.tokens - 1);

  // The end of the text stays in view, unless the reader has scrolled away.
  const following = useRef(true);
  useEffect(() => {
    if (generating) following.current = true;
  }, [generating]);
  useEffect(() => {
    const box = transcript.current;
    if (box && following.current) box.scrollTop = box.scrollHeight;
  }, [ids.length, branch, shading]);

  // On a narrow screen the panel is below the model's.
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    const { top } = section.current!.getBoundingClientRect();
    if (top > innerHeight / 2) section.current!.scrollIntoView();
  }, []);

  const step = (event: KeyboardEvent): void => {
    const next = look && tokenAfter(event, token!, look.map.tokens);
    if (next !== undefined) playground.setView({ token: next });
  };

  return (
    <section ref={section} class="panel text" aria-labelledby="text-heading">
      <h2 id="text-heading">Text</h2>
      <Branches playground={playground} />
      <div
        ref={transcript}
        class="transcript"
        role="log"
        aria-label={`Text of ${branch.name.toLowerCase()}`}
        aria-busy={generating}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        tabIndex={0}
        onKeyDown={step}
        onScroll={({ currentTarget: box }) => {
          following.current = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
        }}
      >
        <Unseen branch={branch} hidden={hidden} />
        {runs.length === 0 ? (
          <p class="hint">
            {busy === 'read' || generating
              ? 'Reading … The text is shown here once all of it is read.'
              : 'Nothing is read yet. Write a beginning below, and have the model go on.'}
          </p>
        ) : (
          <p>
            <ShadedText
              {...{ runs, shading, theme }}
              chosen={token ?? -1}
              onChoose={(chosen) => playground.setView({ token: chosen })}
            />
            {generating && <span class="caret" aria-hidden="true" />}
          </p>
        )}
      </div>
      {look !== undefined && <TokenReadout look={look} view={view} token={token!} />}
      <dl class="facts live" aria-label="This branch">
        <Fact name="Read so far" value={count(branch.length, 'token')} />
        <Fact
          name={stateGrows(config) ? 'State and cache' : 'State, at any length'}
          value={stateWords(branch, config)}
        />
        <Fact name="Speed" value={pace?.perSecond === undefined ? '–' : speedWords(pace.perSecond)} />
      </dl>
      <Composer playground={playground} />
      <Attempts playground={playground} />
      <Endings branches={familyOf(branch, playground.branches)} />
      <LiveCurves branch={branch} config={config} />
      <Sampling form={COMPOSER} fields={playground.sampling} onChange={(fields) => playground.setSampling(fields)} />
    </section>
  );
}

/** The size of a branch's state. A session tells it once its first call has ended; it is computed until then. */
function stateWords({ session, length }: Branch, config: ModelConfig): string {
  if (length === 0) return 'zero';
  return bytes(session.bytes > 0 ? session.bytes : stateBytes(config, length));
}

/** Things to try that take one click. */
function Attempts({ playground }: { readonly playground: Playground }) {
  const { busy, branch, model } = playground;
  const { hasTokenizer, backend } = model!.lm.info;
  if (!hasTokenizer) return null;
  const readFile = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const [file] = input.files ?? [];
    if (file !== undefined) void file.text().then((text) => playground.read(text));
    input.value = '';
  };
  const blocked = busy !== undefined;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a toolbar has no element
    <div class="actions" role="group" aria-label="To try">
      <Action blocked={blocked} onClick={() => playground.showSelection(backend.name === 'cpu' ? 'cpu' : 'webgpu')}>
        Show the selection
      </Action>
      <Action blocked={blocked} onClick={() => playground.readBook()}>
        Read 50,000 tokens
      </Action>
      <label class={`button ${blocked ? 'blocked' : ''}`}>
        Read a text file …
        <input type="file" class="unseen" accept=".txt,.md,text/plain" disabled={blocked} onChange={readFile} />
      </label>
      <Action
        blocked={blocked || branch!.length === 0}
        onClick={() => playground.writeEndings(samplingOptions(playground.sampling))}
      >
        Write two endings
      </Action>
    </div>
  );
}

/** Says what of the sequence is not shown. */
function Unseen({ branch, hidden }: { readonly branch: Branch; readonly hidden: number }) {
  return (
    <>
      {branch.forgotten > 0 && (
        <p class="hint">{count(branch.forgotten, 'token')} before are in the state, but not in the file.</p>
      )}
      {hidden > 0 && <p class="hint">{count(hidden, 'character')} before are in the state, and not shown here.</p>}
    </>
  );
}

/** The end of a text, and how many characters lie before it. */
function lastOf(segments: readonly Segment[]): { readonly runs: readonly Segment[]; readonly hidden: number } {
  const length = segments.reduce((sum, { text }) => sum + text.length, 0);
  const hidden = Math.max(0, length - SHOWN);
  let place = 0;
  const runs = segments.flatMap(({ kind, text }) => {
    const shown = text.slice(Math.max(0, hidden - place));
    place += text.length;
    return shown === '' ? [] : [{ kind, text: shown }];
  });
  return { runs, hidden };
}
