//! A card in the head of its page: title, canonical address, Open Graph (<https://ogp.me>), a Twitter card, where its player is
//! described (<https://oembed.com>), and the same for search engines.

use super::{Card, Kind, ld, page_of};
use crate::Options;
use crate::options::encode;

/// What stands in the head, in place of the title that every page has.
pub(crate) fn tags(options: &Options, card: &Card) -> String {
    let url = options.address(&card.path);
    let (title, description) = (title(card), description(card));
    let mut head = Head::default();
    head.push(&format!("<title>{}</title>", escape(&title)));
    head.meta("name", "description", &description);
    head.push(&format!("<link rel=\"canonical\" href=\"{}\" />", escape(&url)));
    if card.embed.is_some() {
        let described = options.address(&format!("oembed?format=json&url={}", encode(&url)));
        head.push(&format!(
            "<link rel=\"alternate\" type=\"application/json+oembed\" href=\"{}\" title=\"{}\" />",
            escape(&described),
            escape(&title)
        ));
    }
    head.og("og:site_name", "plyr");
    head.og("og:type", og_type(card.kind));
    head.og("og:title", &card.title);
    head.og("og:description", &description);
    head.og("og:url", &url);
    if let Some(picture) = &card.picture {
        head.og("og:image", picture);
        head.og("og:image:alt", &format!("the picture of {}", card.title));
    }
    music(&mut head, options, card);
    // The small form: what is large on Twitter is cut to a landscape, and covers are square.
    head.meta("name", "twitter:card", "summary");
    head.meta("name", "twitter:title", &card.title);
    head.meta("name", "twitter:description", &description);
    if let Some(picture) = &card.picture {
        head.meta("name", "twitter:image", picture);
    }
    head.push(&format!("<script type=\"application/ld+json\">{}</script>", ld::script(options, card)));
    head.text
}

/// What only music has.
fn music(head: &mut Head, options: &Options, card: &Card) {
    let owner = card.owner.as_ref().map(|owner| options.address(&page_of(owner)));
    match (card.kind, card.songs.first()) {
        (Kind::Track, Some(song)) => {
            if let Some(audio) = &song.view.audio {
                head.og("og:audio", audio);
            }
            if let Some(seconds) = song.duration_s {
                head.og("music:duration", &seconds.to_string());
            }
            head.og("music:musician", &owner.unwrap_or_default());
        }
        (Kind::Album | Kind::Playlist, _) => {
            let whose = if card.kind == Kind::Album { "music:musician" } else { "music:creator" };
            head.og(whose, &owner.unwrap_or_default());
            for song in &card.songs {
                head.og("music:song", &options.address(&song.path));
            }
        }
        (Kind::Artist, _) => {
            let handle = card.owner.as_ref().map_or("", super::called);
            head.og("profile:username", handle);
        }
        _ => {}
    }
}

fn og_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Track => "music.song",
        Kind::Album => "music.album",
        Kind::Playlist => "music.playlist",
        Kind::Artist => "profile",
        Kind::Tag => "website",
    }
}

fn title(card: &Card) -> String {
    match card.kind {
        Kind::Artist => format!("{} · plyr", card.title),
        Kind::Tag => format!("#{} · plyr", card.title),
        _ => format!("{} · {}", card.title, card.by),
    }
}

fn description(card: &Card) -> String {
    let count = match card.track_count {
        1 => "1 track".to_owned(),
        count => format!("{count} tracks"),
    };
    match card.kind {
        Kind::Track => format!("by {}", card.by),
        Kind::Album => format!("an album by {}, {count}", card.by),
        Kind::Playlist => format!("a playlist by {}, {count}", card.by),
        Kind::Artist => card.text.clone().unwrap_or_else(|| format!("{count} on plyr")),
        Kind::Tag => format!("{count} tagged {}", card.title),
    }
}

#[derive(Default)]
struct Head {
    text: String,
}

impl Head {
    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn og(&mut self, property: &str, content: &str) {
        self.meta("property", property, content);
    }

    fn meta(&mut self, key: &str, name: &str, content: &str) {
        self.push(&format!("<meta {key}=\"{name}\" content=\"{}\" />", escape(content)));
    }
}

/// For text and for quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_cannot_become_markup() {
        assert_eq!(
            escape(r#"</title><script a="'">&"#),
            "&lt;/title&gt;&lt;script a=&quot;&#39;&quot;&gt;&amp;"
        );
    }
}
