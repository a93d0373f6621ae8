#include "examples/support/lesson/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "examples/support/page/file.h"
#include "examples/support/page/site.h"

namespace ink::lesson {

namespace {

bool has_figure(const std::vector<Section>& sections, const std::string& name) {
  for (const Section& s : sections)
    for (const Item& i : s.items)
      if (auto* f = std::get_if<Figure>(&i); f && file_name(f->name) == file_name(name)) return true;
  return false;
}

}  // namespace

void Report::add(Item item) {
  if (sections.empty()) sections.push_back({.title = ""});
  if (auto* figure = std::get_if<Figure>(&item)) {  // two figures of one name would overwrite each other's file
    const std::string wanted = figure->name;
    for (int i = 2; has_figure(sections, figure->name); ++i) figure->name = fmt::format("{} {}", wanted, i);
  }
  sections.back().items.push_back(std::move(item));
}

std::vector<const Claim*> Report::claims() const {
  std::vector<const Claim*> out;
  for (const Section& s : sections)
    for (const Item& i : s.items)
      if (auto* c = std::get_if<Claim>(&i)) out.push_back(c);
  return out;
}

int Report::count(State state) const {
  auto all = claims();
  return int(std::count_if(all.begin(), all.end(), [&](const Claim* c) { return c->state == state; }));
}

CellRange range_of(const std::vector<float>& cells) {
  CellRange r{INFINITY, -INFINITY, false};
  for (float v : cells)
    if (std::isfinite(v)) r.low = std::min(r.low, double(v)), r.high = std::max(r.high, double(v));
  r.signs = r.low < 0 && r.high > 0;
  if (r.signs) r.high = std::max(-r.low, r.high), r.low = -r.high;
  return r;
}

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::string file_name(const std::string& name) {
  std::string out;
  for (char c : name) {
    bool keep = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (keep)
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "figure" : out;
}

Json to_json(const Section& s) {
  Json j = Json::object();
  j.set("event", "section").set("title", s.title).set("formula", s.formula).set("source", s.source);
  if (s.code.empty()) return j;
  Json code = Json::array();
  for (const std::string& c : s.code) code.push(c);
  return j.set("code", code);
}

namespace {

Json event_json(const Text& t) {
  Json j = Json::object();
  j.set("event", "text").set("text", t.text);
  if (t.listing) j.set("listing", true);
  return j;
}

Json event_json(const Shown& s) {
  Json shape = Json::array(), cells = Json::array();
  for (int64_t n : s.shape) shape.push(n);
  for (float v : s.cells) cells.push(double(v));
  Json j = Json::object();
  j.set("event", "tensor").set("name", s.name).set("shape", shape).set("dtype", s.dtype);
  j.set("min", s.min).set("max", s.max).set("mean", s.mean).set("rows", s.rows).set("columns", s.columns);
  return j.set("exact", s.exact_cells).set("cells", cells);
}

Json event_json(const Claim& c) {
  Json j = Json::object();
  j.set("event", "claim").set("name", c.name).set("expected", c.bound.str()).set("got", c.value);
  return j.set("state", name_of(c.state));
}

Json event_json(const Named& n) {
  Json j = Json::object();
  return j.set("event", "value")
      .set("name", n.name)
      .set("value", n.value)
      .set("unit", n.unit)
      .set("deterministic", n.deterministic);
}

Json event_json(const Figure& f) {
  Json j = Json::object();
  j.set("event", "figure").set("name", f.name).set("file", file_name(f.name) + ".svg").set("caption", f.caption);
  // Pictures keep their colours on a dark page; lines do not.
  if (f.svg.find("<image") != std::string::npos) j.set("picture", true);
  return j;
}

Json event_json(const Moment& f) { return to_json(f); }

Json without_event(const Json& j) {
  Json out = Json::object();
  for (const std::string& key : j.keys())
    if (key != "event") out.set(key, j[key]);
  return out;
}

}  // namespace

Json to_json(const Item& item) {
  return std::visit([](const auto& i) { return event_json(i); }, item);
}

Json Report::metrics() const {
  Json titles = Json::array(), claims = Json::array(), values = Json::object(), figures = Json::array();
  for (const Section& s : sections) {
    if (!s.title.empty()) titles.push(s.title);
    for (const Item& i : s.items) {
      Json j = without_event(to_json(i));
      if (std::holds_alternative<Claim>(i)) claims.push(j.set("section", s.title));
      if (std::holds_alternative<Figure>(i)) figures.push(j);
      if (auto* n = std::get_if<Named>(&i)) {
        values.set(n->name,
                   Json::object().set("value", n->value).set("unit", n->unit).set("deterministic", n->deterministic));
      }
    }
  }
  Json j = Json::object();
  j.set("name", name).set("note", note).set("title", title).set("about", about).set("settings", settings);
  j.set("held", count(State::held)).set("failed", count(State::failed)).set("skipped", count(State::skipped));
  j.set("claims", claims).set("values", values).set("figures", figures).set("sections", titles);
  if (!error.empty()) j.set("error", error);
  return j.set("seconds", seconds);
}

Json Report::run() const {
  Json parts = Json::array();
  for (const Section& s : sections) {
    Json items = Json::array();
    for (const Item& i : s.items) items.push(to_json(i));
    parts.push(without_event(to_json(s)).set("items", items));
  }
  Json j = Json::object();
  j.set("name", name).set("note", note).set("title", title).set("about", about).set("settings", settings);
  if (!error.empty()) j.set("error", error);
  return j.set("seconds", seconds).set("sections", parts);
}

void Report::write(const std::string& folder, bool page) const {
  for (const Section& s : sections)
    for (const Item& i : s.items)
      if (auto* f = std::get_if<Figure>(&i)) write_file(fmt::format("{}/{}.svg", folder, file_name(f->name)), f->svg);
  write_file(folder + "/run.json", run().str() + "\n");
  write_file(folder + "/metrics.json", metrics().str(2) + "\n");
  if (page) write_page(kNotes, folder);
}

}  // namespace ink::lesson
