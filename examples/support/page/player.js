// A player shows the frames of an algorithm: slider, arrow keys, play. Each is a world of its own.
'use strict';

class Player {
  constructor(figure, typeset) {
    this.figure = figure;
    this.typeset = typeset;
    this.frames = JSON.parse(figure.querySelector('script').textContent);
    this.ranges = this.rangesOf(this.frames);
    this.at = 0;
    this.timer = null;
    this.build();
    this.show(0);
    figure.player = this;
  }

  // One colour scale for a name over all frames, so that a colour means one value.
  rangesOf(frames) {
    const ranges = {};
    for (const frame of frames)
      for (const value of frame.values) {
        const range = ranges[value.name] ??= {largest: 0, signs: false};
        for (const cell of value.cells ?? [])
          if (Number.isFinite(cell)) {
            range.largest = Math.max(range.largest, Math.abs(cell));
            range.signs ||= cell < 0;
          }
      }
    return ranges;
  }

  build() {
    const element = (name, className, attributes = {}) => {
      const made = document.createElement(name);
      made.className = className;
      for (const key in attributes) made.setAttribute(key, attributes[key]);
      return made;
    };
    const button = (text, label, act) => {
      const made = element('button', '', {type: 'button', 'aria-label': label, title: label});
      made.textContent = text;
      made.addEventListener('click', act);
      return made;
    };
    this.title = element('div', 'step-title');
    this.text = element('p', 'step-text', {'aria-live': 'polite'});
    this.stage = element('div', 'stage');
    this.slider = element('input', '', {type: 'range', min: 0, max: this.frames.length - 1, value: 0, 'aria-label': 'step'});
    this.slider.addEventListener('input', () => { this.pause(); this.show(Number(this.slider.value)); });
    this.count = element('output', 'count');
    this.playButton = button('▶', 'play', () => this.timer ? this.pause() : this.play());
    const controls = element('div', 'controls');
    controls.append(button('‹', 'step back', () => { this.pause(); this.show(this.at - 1); }), this.playButton,
                    button('›', 'step on', () => { this.pause(); this.show(this.at + 1); }), this.slider, this.count);
    this.figure.append(controls, this.title, this.text, this.stage);
    this.figure.tabIndex = 0;
    this.figure.addEventListener('keydown', event => this.key(event));
  }

  key(event) {
    const steps = {ArrowRight: this.at + 1, ArrowLeft: this.at - 1, Home: 0, End: this.frames.length - 1};
    if (event.key in steps) {
      this.pause();
      this.show(steps[event.key]);
    } else if (event.key === ' ' && event.target === this.figure) {
      this.timer ? this.pause() : this.play();
    } else {
      return;
    }
    event.preventDefault();
  }

  play() {
    if (this.at === this.frames.length - 1) this.show(0);
    this.playButton.textContent = '❚❚';
    this.playButton.setAttribute('aria-label', 'pause');
    this.timer = setInterval(() => {
      this.show(this.at + 1);
      if (this.at === this.frames.length - 1) this.pause();
    }, 1100);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.playButton.textContent = '▶';
    this.playButton.setAttribute('aria-label', 'play');
  }

  show(index) {
    this.at = Math.min(Math.max(index, 0), this.frames.length - 1);
    const frame = this.frames[this.at], before = this.frames[this.at - 1];
    this.title.replaceChildren(...withFormulas(frame.title));
    this.text.replaceChildren(...withFormulas(frame.text));
    this.stage.replaceChildren(...frame.values.map(value => this.value(value, before?.values.find(v => v.name === value.name))));
    this.slider.value = this.at;
    this.slider.style.setProperty('--share', this.frames.length > 1 ? this.at / (this.frames.length - 1) : 1);
    this.slider.setAttribute('aria-valuetext', frame.title);
    this.count.textContent = `${this.at + 1} / ${this.frames.length}`;
    this.typeset(this.figure);
  }

  value(value, before) {
    const box = document.createElement('div');
    box.className = 'value';
    const label = document.createElement('div');
    label.className = 'label';
    label.append(...withFormulas(value.name));
    box.append(label);
    if (value.text !== undefined) {
      const words = document.createElement('div');
      words.className = before && before.text !== value.text ? 'sentence changed' : 'sentence';
      words.append(...withFormulas(value.text));
      box.append(words);
      return box;
    }
    const sizes = value.shape.length ? ' ' + JSON.stringify(value.shape).replaceAll(',', ', ') : '';
    const note = document.createElement('small');
    note.textContent = sizes + (value.cut ? ` · ${value.cut}` : '');
    label.append(note);
    box.append(this.grid(value, before));
    return box;
  }

  // Cells with their numbers if they are few, else small ones whose number shows under the pointer.
  grid(value, before) {
    const grid = document.createElement('div');
    const words = typeof value.cells[0] === 'string' && !['nan', 'inf', '-inf'].includes(value.cells[0]);
    const large = words || (value.columns <= 9 && value.rows * value.columns <= 72);
    grid.className = `grid ${large ? 'large' : 'small'}${words ? ' words' : ''}`;
    grid.style.gridTemplateColumns = words ? '' : `repeat(${value.columns}, ${large ? 'minmax(2.4em, 4em)' : 'minmax(3px, 1fr)'})`;
    if (!large) grid.style.maxWidth = `min(${Math.min(value.columns * 16, 520)}px, 100%)`;
    const range = this.ranges[value.name], marks = value.marks ?? [];
    const same = before && before.columns === value.columns && before.rows === value.rows;
    value.cells.forEach((cell, i) => {
      const row = Math.floor(i / value.columns), column = i % value.columns, made = document.createElement('span');
      made.className = 'cell';
      if (words) made.append(...withFormulas(cell));
      else this.paint(made, cell, range, large);
      const changed = before && (same ? before.cells[i] !== cell : words ? before.cells[i] !== cell : i >= before.cells.length);
      if (changed) made.classList.add('changed');
      if (marks.some(([r, c]) => (r === row || r < 0) && (c === column || c < 0))) made.classList.add('marked');
      grid.append(made);
    });
    if (!value.cells.length) grid.textContent = 'empty';
    return grid;
  }

  paint(cell, number, range, large) {
    const finite = Number.isFinite(number), share = finite && range.largest ? Math.abs(number) / range.largest : 0;
    cell.style.setProperty('--share', (100 * share).toFixed(1) + '%');
    cell.classList.add(!finite ? 'strange' : number < 0 ? 'negative' : range.signs ? 'positive' : 'amount');
    cell.title = finite ? String(number) : number === 'nan' ? 'not computed, or not a number' : number.replace('inf', '∞');
    if (large) cell.textContent = finite ? shortNumber(number) : number === 'nan' ? '' : cell.title;
  }
}

// At most five characters.
function shortNumber(x) {
  if (Number.isInteger(x) && Math.abs(x) < 1e5) return String(x).replace('-', '−');
  const size = Math.abs(x), text = size >= 1000 || size < 0.005 ? x.toExponential(0) : x.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
  return text.replace('e+', 'e').replaceAll('-', '−');
}

// "the sum $S_i$" as nodes: text, and spans that KaTeX fills.
function withFormulas(text) {
  return String(text).split(/(\$[^$]+\$)/).filter(part => part).map(part => {
    if (part.length < 3 || part[0] !== '$') return document.createTextNode(part);
    const span = document.createElement('span');
    span.className = 'tex';
    span.textContent = part.slice(1, -1);
    return span;
  });
}
