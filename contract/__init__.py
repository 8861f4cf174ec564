"""The contract between columns and centres: JSON Schemas, AsyncAPI document and their validator."""
