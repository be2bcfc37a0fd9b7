// SPDX-License-Identifier: Apache-2.0
#include "content/xml_text.h"

#include <gtest/gtest.h>

#include <pugixml.hpp>

namespace msp::content {
namespace {

TEST(XmlText, EscapesWhatWouldBeMarkup) {
  EXPECT_EQ(xml_text("a<b>&\"'c"), "a&lt;b&gt;&amp;&quot;&apos;c");
  EXPECT_EQ(xml_text("\t\r\n"), "&#9;&#13;&#10;");
  EXPECT_EQ(xml_text("caf\xC3\xA9 \xF0\x9F\x98\x80"), "caf\xC3\xA9 \xF0\x9F\x98\x80");
}

TEST(XmlText, ReplacesWhatXmlHasNoPlaceFor) {
  EXPECT_EQ(xml_text(std::string_view("\0\x1F", 2)), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(xml_text("\xEF\xBF\xBF"), "\xEF\xBF\xBD");
  EXPECT_EQ(xml_text("\xC3"), "\xEF\xBF\xBD");
}

TEST(XmlText, AReaderGetsItBackFromElementsAndAttributes) {
  std::string every;
  for (int byte = 1; byte < 0x80; ++byte) {
    if (byte >= 0x20 || byte == '\t' || byte == '\n' || byte == '\r') {
      every += static_cast<char>(byte);
    }
  }
  const std::string text = "<e a=\"" + xml_text(every) + "\" b='" + xml_text(every) + "'>" + xml_text(every) + "</e>";
  pugi::xml_document document;
  ASSERT_TRUE(document.load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_ws_pcdata));
  EXPECT_EQ(document.child("e").attribute("a").value(), every);
  EXPECT_EQ(document.child("e").attribute("b").value(), every);
  EXPECT_EQ(document.child("e").text().get(), every);
}

}  // namespace
}  // namespace msp::content
