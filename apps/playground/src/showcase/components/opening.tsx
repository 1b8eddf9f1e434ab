import { useEffect, useRef } from 'preact/hooks';
import { Action } from '../../components/action.tsx';
import { PageLinks } from '../../components/page-links.tsx';
import { bytes } from '../../format.ts';
import { speedWords } from '../../pace.ts';
import type { Showcase } from '../showcase.ts';
import { Failure } from './failure.tsx';
import { FigureFacts, UNKNOWN } from './figure-facts.tsx';

/** The top of the page: what this is, and the text that the model writes. */
export function Opening({ showcase: { story, model } }: { readonly showcase: Showcase }) {
  const { branch, pace, busy, firstToken, beginning } = story;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (busy) story.stop();
    else void story.write();
  };
  return (
    <header class="opening">
      <PageLinks page="showcase" />
      <div class="intro">
        <h1>A language model whose memory never grows</h1>
        <p class="lead">
          The text here is written by a Mamba model on your own device, while you look on. Nothing was installed, and
          nothing that you do here is sent anywhere.
        </p>
      </div>
      <div class="writing">
        <StoryText story={story} model={model} />
        <form class="begin" onSubmit={submit}>
          <label>
            <span class="unseen">A beginning of your own</span>
            <input
              type="text"
              autocomplete="off"
              value={beginning}
              onInput={(event) => story.setBeginning(event.currentTarget.value)}
            />
          </label>
          <button type="submit" class={`primary ${busy ? 'stop' : ''}`}>
            {busy ? 'Stop' : 'Write'}
          </button>
          <Action blocked={busy || branch === undefined || branch.length === 0} onClick={() => story.goOn()}>
            Go on
          </Action>
        </form>
      </div>
      <FigureFacts
        label="The writing"
        figures={[
          {
            name: 'First word after the page was opened',
            value: firstToken === undefined ? UNKNOWN : `${(firstToken / 1000).toFixed(1)} s`,
            origin: 'measured',
          },
          {
            name: 'Speed on this device',
            value: pace?.perSecond === undefined ? UNKNOWN : speedWords(pace.perSecond),
            origin: 'measured',
          },
          {
            name: 'Memory of all that was read',
            value: branch === undefined || branch.session.bytes === 0 ? UNKNOWN : bytes(branch.session.bytes),
            origin: 'measured',
          },
        ]}
      />
      <p class="hint">
        The model, <code>kjv-mamba</code>, is small: 1.7 million weights. It has read the King James Bible and nothing
        else, so it knows no other English, and what it writes need not make sense. <kbd>Esc</kbd> stops whatever this
        page is doing.
      </p>
    </header>
  );
}

function StoryText({ story, model: { progress, loaded } }: Pick<Showcase, 'story' | 'model'>) {
  const { branch, busy } = story;
  const box = useRef<HTMLDivElement>(null);
  const segments = branch?.transcript.segments ?? [];
  // The end of the text stays in view, unless the reader has scrolled away.
  const following = useRef(true);
  useEffect(() => {
    following.current = true;
  }, [branch]);
  useEffect(() => {
    if (following.current) box.current!.scrollTop = box.current!.scrollHeight;
  }, [segments]);
  return (
    <div
      ref={box}
      class="story"
      role="log"
      aria-label="What the model writes"
      aria-busy={busy}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        following.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      <Failure of={story} onRetry={() => story.write()} />
      {busy && loaded === undefined && (
        <div class="waiting">
          <progress
            aria-label="Loading the model"
            {...(progress !== undefined && { value: progress.done, max: progress.total })}
          />
          <p class="hint">
            {progress?.unit === 'bytes'
              ? `${bytes(progress.done)} of ${bytes(progress.total)} are here.`
              : 'The model is being loaded: 3.5 MB, once.'}
          </p>
        </div>
      )}
      <p>
        {segments.map(({ kind, text }, index) => (
          <span key={index} class={kind}>
            {text}
          </span>
        ))}
        {busy && segments.length > 0 && <span class="caret" aria-hidden="true" />}
      </p>
    </div>
  );
}
