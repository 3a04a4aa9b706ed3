//! The differences that can make two schemas incompatible, and what is said about them.

use crate::{Direction, Policy};

macro_rules! changes {
    ($($variant:ident $name:literal $text:ident;)*) => {
        /// A difference. Those that are always compatible are not recorded and have no place here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Change {
            $(
                #[doc = $name]
                $variant,
            )*
        }

        impl Change {
            /// `TYPE_CHANGED` and the like.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn text(self) -> Text {
                match self { $(Self::$variant => Text::$text,)* }
            }
        }
    };
}

/// The sentences.
enum Text {
    Empty,
    KeywordAdded,
    More,
    Less,
    Different,
    Fewer,
    Extended,
    Type,
    AddedToOpen,
    RequiredAddedToUnopen,
    RemovedFromClosed,
    RemovedNotCovered,
    AddedNotCovered,
}

changes! {
    SchemaAdded "SCHEMA_ADDED" Empty;
    TypeNarrowed "TYPE_NARROWED" Type;
    TypeChanged "TYPE_CHANGED" Type;
    MaxLengthAdded "MAX_LENGTH_ADDED" KeywordAdded;
    MaxLengthDecreased "MAX_LENGTH_DECREASED" Less;
    MinLengthAdded "MIN_LENGTH_ADDED" KeywordAdded;
    MinLengthIncreased "MIN_LENGTH_INCREASED" More;
    PatternAdded "PATTERN_ADDED" KeywordAdded;
    PatternChanged "PATTERN_CHANGED" Different;
    MaximumAdded "MAXIMUM_ADDED" KeywordAdded;
    MaximumDecreased "MAXIMUM_DECREASED" Less;
    MinimumAdded "MINIMUM_ADDED" KeywordAdded;
    MinimumIncreased "MINIMUM_INCREASED" More;
    ExclusiveMaximumAdded "EXCLUSIVE_MAXIMUM_ADDED" KeywordAdded;
    ExclusiveMaximumDecreased "EXCLUSIVE_MAXIMUM_DECREASED" Less;
    ExclusiveMinimumAdded "EXCLUSIVE_MINIMUM_ADDED" KeywordAdded;
    ExclusiveMinimumIncreased "EXCLUSIVE_MINIMUM_INCREASED" More;
    MultipleOfAdded "MULTIPLE_OF_ADDED" KeywordAdded;
    MultipleOfExpanded "MULTIPLE_OF_EXPANDED" More;
    MultipleOfChanged "MULTIPLE_OF_CHANGED" Different;
    RequiredAttributeAdded "REQUIRED_ATTRIBUTE_ADDED" KeywordAdded;
    MaxPropertiesAdded "MAX_PROPERTIES_ADDED" KeywordAdded;
    MaxPropertiesDecreased "MAX_PROPERTIES_DECREASED" Less;
    MinPropertiesAdded "MIN_PROPERTIES_ADDED" KeywordAdded;
    MinPropertiesIncreased "MIN_PROPERTIES_INCREASED" More;
    AdditionalPropertiesRemoved "ADDITIONAL_PROPERTIES_REMOVED" KeywordAdded;
    AdditionalPropertiesNarrowed "ADDITIONAL_PROPERTIES_NARROWED" Fewer;
    UnevaluatedPropertiesRemoved "UNEVALUATED_PROPERTIES_REMOVED" KeywordAdded;
    UnevaluatedPropertiesNarrowed "UNEVALUATED_PROPERTIES_NARROWED" Fewer;
    DependencyArrayAdded "DEPENDENCY_ARRAY_ADDED" KeywordAdded;
    DependencyArrayExtended "DEPENDENCY_ARRAY_EXTENDED" Extended;
    DependencyArrayChanged "DEPENDENCY_ARRAY_CHANGED" Different;
    DependencySchemaAdded "DEPENDENCY_SCHEMA_ADDED" KeywordAdded;
    RequiredPropertyAddedToOpen "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL" AddedToOpen;
    RequiredPropertyWithDefaultAddedToOpen "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL" AddedToOpen;
    OptionalPropertyAddedToOpen "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL" AddedToOpen;
    RequiredPropertyAddedToUnopen "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL" RequiredAddedToUnopen;
    PropertyRemovedFromClosed "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL" RemovedFromClosed;
    PropertyRemovedNotCovered "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL" RemovedNotCovered;
    PropertyAddedNotCovered "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL" AddedNotCovered;
    MaxItemsAdded "MAX_ITEMS_ADDED" KeywordAdded;
    MaxItemsDecreased "MAX_ITEMS_DECREASED" Less;
    MinItemsAdded "MIN_ITEMS_ADDED" KeywordAdded;
    MinItemsIncreased "MIN_ITEMS_INCREASED" More;
    MaxContainsAdded "MAX_CONTAINS_ADDED" KeywordAdded;
    MaxContainsDecreased "MAX_CONTAINS_DECREASED" Less;
    MinContainsAdded "MIN_CONTAINS_ADDED" KeywordAdded;
    MinContainsIncreased "MIN_CONTAINS_INCREASED" More;
    UniqueItemsAdded "UNIQUE_ITEMS_ADDED" KeywordAdded;
    AdditionalItemsRemoved "ADDITIONAL_ITEMS_REMOVED" KeywordAdded;
    AdditionalItemsNarrowed "ADDITIONAL_ITEMS_NARROWED" Fewer;
    UnevaluatedItemsRemoved "UNEVALUATED_ITEMS_REMOVED" KeywordAdded;
    UnevaluatedItemsNarrowed "UNEVALUATED_ITEMS_NARROWED" Fewer;
    ItemAddedToOpen "ITEM_ADDED_TO_OPEN_CONTENT_MODEL" AddedToOpen;
    ItemRemovedFromClosed "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL" RemovedFromClosed;
    ItemRemovedNotCovered "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL" RemovedNotCovered;
    ItemAddedNotCovered "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL" AddedNotCovered;
    EnumArrayNarrowed "ENUM_ARRAY_NARROWED" Fewer;
    EnumArrayChanged "ENUM_ARRAY_CHANGED" Type;
    CombinedTypeChanged "COMBINED_TYPE_CHANGED" Type;
    CombinedTypeSubschemasChanged "COMBINED_TYPE_SUBSCHEMAS_CHANGED" Type;
    ProductTypeExtended "PRODUCT_TYPE_EXTENDED" Extended;
    SumTypeNarrowed "SUM_TYPE_NARROWED" Fewer;
    NotTypeExtended "NOT_TYPE_EXTENDED" Extended;
}

impl Change {
    /// Whether the policy forgives it.
    pub(crate) fn is_compatible(self, policy: Policy) -> bool {
        policy == Policy::Lenient
            && matches!(
                self,
                Self::AdditionalPropertiesNarrowed
                    | Self::AdditionalPropertiesRemoved
                    | Self::UnevaluatedPropertiesNarrowed
                    | Self::UnevaluatedPropertiesRemoved
                    | Self::RequiredPropertyWithDefaultAddedToOpen
                    | Self::OptionalPropertyAddedToOpen
                    | Self::PropertyRemovedFromClosed
                    | Self::PropertyAddedNotCovered
                    | Self::PropertyRemovedNotCovered
            )
    }

    /// The whole message: the description opens with a double quote and closes with a single one, as clients know it.
    pub(crate) fn message(self, path: &str, direction: Direction) -> String {
        let (n, o) = match direction {
            Direction::Backward => ("new", "old"),
            Direction::Forward => ("old", "new"),
        };
        let text = match self.text() {
            Text::Empty => String::new(),
            Text::KeywordAdded => {
                format!(
                    "The keyword at path '{path}' in the {n} schema is not present in the {o} schema"
                )
            }
            Text::More => {
                format!(
                    "The value at path '{path}' in the {n} schema is more than its value in the {o} schema"
                )
            }
            Text::Less => {
                format!(
                    "The value at path '{path}' in the {n} schema is less than its value in the {o} schema"
                )
            }
            Text::Different => {
                format!("The value at path '{path}' is different between the {n} and {o} schema")
            }
            Text::Fewer => format!(
                "An array or combined type at path '{path}' has fewer elements in the {n} schema than the {o} schema"
            ),
            Text::Extended => format!(
                "An array or combined type at path '{path}' has more elements in the {n} schema than the {o} schema"
            ),
            Text::Type => {
                format!(
                    "A type at path '{path}' is different between the {n} schema and the {o} schema"
                )
            }
            Text::AddedToOpen => format!(
                "The {n} schema has an open content model and has a property or item at path '{path}' which is missing in the {o} schema"
            ),
            Text::RequiredAddedToUnopen => format!(
                "The {n} schema has an unopen content model and has a required property at path '{path}' which is missing in the {o} schema"
            ),
            Text::RemovedFromClosed => format!(
                "The {n} has a closed content model and is missing a property or item present at path '{path}' in the {o} schema"
            ),
            Text::RemovedNotCovered => format!(
                "A property or item is missing in the {n} schema but present at path '{path}' in the {o} schema and is not covered by its partially open content model"
            ),
            Text::AddedNotCovered => format!(
                "The {n} schema has a property or item at path '{path}' which is missing in the {o} schema and is not covered by its partially open content model"
            ),
        };
        format!("{{errorType:\"{}\", description:\"{text}'}}", self.name())
    }
}
