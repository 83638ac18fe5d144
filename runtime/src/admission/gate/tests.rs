//! Tensors as the file declares them, and lists in messages.

use tract_onnx::pb::{StringStringEntryProto, TensorProto, tensor_proto::DataLocation};

use super::{DataType, MAX_DIM, MAX_RANK, check_tensor, listed};

/// Three values of this type, not written yet.
fn three(kind: DataType) -> TensorProto {
    TensorProto {
        dims: vec![3],
        data_type: kind as i32,
        ..TensorProto::default()
    }
}

fn said(tensor: &TensorProto) -> String {
    check_tensor(tensor).err().unwrap_or_default()
}

#[test]
fn values_lie_in_the_file() {
    let mut outside = three(DataType::Float);
    outside.float_data = vec![0.0; 3];
    assert_eq!(said(&outside), "");
    outside.external_data = vec![StringStringEntryProto::default()];
    assert!(said(&outside).contains("another file"));
    outside.external_data.clear();
    outside.data_location = Some(DataLocation::External as i32);
    assert!(said(&outside).contains("another file"));
    outside.data_location = Some(DataLocation::Default as i32);
    assert_eq!(said(&outside), "");
}

/// In the list of its type or as bytes, and as many as the shape needs.
#[test]
fn as_many_values_as_declared() {
    type Fill = fn(&mut TensorProto, usize);
    let kinds: [(DataType, usize, Fill); 5] = [
        (DataType::Float, 4, |t, n| t.float_data = vec![0.0; n]),
        (DataType::Double, 8, |t, n| t.double_data = vec![0.0; n]),
        (DataType::Int64, 8, |t, n| t.int64_data = vec![0; n]),
        (DataType::Int32, 4, |t, n| t.int32_data = vec![0; n]),
        (DataType::Bool, 1, |t, n| t.int32_data = vec![0; n]),
    ];
    for (kind, bytes, fill) in kinds {
        for count in 0..6 {
            let wanted = |found: usize| match found {
                3 => String::new(),
                _ => format!("their shape needs 3 values, the file holds {found}"),
            };
            let mut tensor = three(kind);
            fill(&mut tensor, count);
            assert_eq!(said(&tensor), wanted(count), "{kind:?}");
            let mut tensor = three(kind);
            tensor.raw_data = vec![0; count * bytes];
            assert_eq!(said(&tensor), wanted(count), "{kind:?}");
            tensor.raw_data.push(0);
            if bytes > 1 {
                assert!(said(&tensor).contains("ends within a value"), "{kind:?}");
            }
        }
    }
    assert!(said(&three(DataType::Float16)).contains("is not f32"));
}

#[test]
fn shapes_of_tensors() {
    let shaped = |dims: Vec<i64>, values: usize| {
        said(&TensorProto {
            dims,
            data_type: DataType::Float as i32,
            float_data: vec![0.0; values],
            ..TensorProto::default()
        })
    };
    assert_eq!(shaped(vec![], 1), "");
    assert_eq!(shaped(vec![2, 1, 3], 6), "");
    assert_eq!(shaped(vec![1; MAX_RANK], 1), "");
    assert!(shaped(vec![1; MAX_RANK + 1], 1).contains("9 axes"));
    assert!(shaped(vec![0], 0).contains("dimension of 0"));
    assert!(shaped(vec![-1], 1).contains("dimension of -1"));
    assert!(shaped(vec![MAX_DIM], 1).contains("needs 16777216 values"));
    assert!(shaped(vec![MAX_DIM + 1], 1).contains("dimension of 16777217"));
    assert!(shaped(vec![MAX_DIM; 3], 1).contains("overflows"));
    // Of integers there are few, of weights not.
    let mut integers = three(DataType::Int64);
    (integers.dims, integers.int64_data) = (vec![65], vec![0; 65]);
    assert!(said(&integers).contains("65 values; at most 64"));
    assert_eq!(shaped(vec![65], 65), "");
}

#[test]
fn long_lists_are_cut() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let of = |count: usize| listed(names.iter().take(count).copied());
    assert_eq!(of(0), "0: ");
    assert_eq!(of(2), "2: \"a\", \"b\"");
    assert!(of(8).ends_with("\"g\", \"h\""), "{}", of(8));
    assert!(
        of(9).starts_with("9: ") && of(9).ends_with("\"h\", ..."),
        "{}",
        of(9)
    );
}
